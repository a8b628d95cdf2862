# The web app: TypeScript in web/, built into the portal's static folder. Nothing happens when no
# source is newer than the last build.

WEB_OUT := src/umbel/portal/static/index.html
WEB_DEPS := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web/src web/public -type f ! -name '*.test.ts' 2>/dev/null) \
	web/index.html web/docs.html web/vite.config.ts web/tsconfig.json web/node.d.ts
OPENAPI := build/openapi.json

.PHONY: web web-check web-types web-clean

web: $(WEB_OUT) ## build the web app, when its sources are newer than the last build

$(WEB_OUT): $(WEB_SOURCES) $(WEB_DEPS)
	cd web && ../scripts/node.sh npm run --silent build -- --logLevel warn

$(WEB_DEPS): web/package-lock.json web/package.json web/.npmrc
	cd web && ../scripts/node.sh npm ci --no-progress
	touch $@

web-check: $(WEB_DEPS) ## lint, format, types and unit tests of the web app
	cd web && ../scripts/node.sh npm run --silent check

web-types: $(WEB_DEPS) ## generate the web app's types from the OpenAPI document
	mkdir -p $(dir $(OPENAPI))
	$(BIN)/python scripts/openapi.py > $(OPENAPI)
	cd web && ../scripts/node.sh npm run --silent generate -- ../$(OPENAPI) --output src/kit/api-types.ts

web-clean:
	rm -rf web/node_modules src/umbel/portal/static
