# The storm of kills on a real platform: docs/howto/run-a-storm.md.

SECONDS ?= 300
LOAD ?= 0

.PHONY: storm

storm: ## kill a process every 4 to 6 s under real viewers: SECONDS=300, SEED=1, LOAD=4 adds busy loops; a JSON line at the end
	@scripts/setup test >&2
	@env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=src:tests $(BIN)/python -m support.storm --seconds $(SECONDS) --load $(LOAD) --seed $(or $(SEED),1)
