# Tests against real clouds: docs/howto/kubernetes.md, docs/howto/openstack.md. What they need is built once, in build/clouds.

.PHONY: test-clouds

test-clouds: setup-test ## the drivers of clouds against real ones (Kubernetes 1.34, OpenStack Zed, versitygw), as root; needs Go, 30 minutes the first time
	@scripts/setup clouds
	@scripts/clouds
	@scripts/openstack
	@scripts/s3
	@$(BIN)/python -m pytest -m clouds tests/contract tests/lab
