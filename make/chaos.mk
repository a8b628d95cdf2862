# The seeded fault run of the control plane: docs/howto/replay-a-fault.md.

SEED ?=
RUNS ?= 1
STEPS ?=

.PHONY: chaos

chaos: ## the seeded fault run: SEED=n replays one, RUNS=n plays many, STEPS=n only the first steps
	@PYTHONPATH=src:tests $(BIN)/python -m support.chaos --runs $(RUNS) $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS))
