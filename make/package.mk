# What operators install: docs/howto/install.md. The files are in build/packages.

.PHONY: package wheel deb image test-packages

package: deb ## a wheel and a Debian package with the web app, in build/packages

wheel: ## the wheel alone
	@scripts/setup package
	@scripts/package wheel

deb: ## the Debian package, and the wheel in it
	@scripts/setup package
	@scripts/package deb

image: ## an OCI image of the Debian package, by Buildah: BASE=docker.io/library/debian:12-slim
	@scripts/setup package
	@scripts/package image

test-packages: setup-test ## build all packages, and install and start them in a fresh Debian; as root, some minutes
	@scripts/setup package
	@$(BIN)/python -m pytest -m packages tests/packages
