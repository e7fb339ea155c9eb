# Targets a person types; the work is in scripts/.
GO      ?= go
BIN     := bin/watchbill
TOOLS   := .tools
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
DEMO_FLAGS ?=

export GOFLAGS := -buildvcs=false -trimpath

.PHONY: help demo up build test check bench ops fmt generate lint race fuzz clients clean

help: ## show the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## one alarm, from signal to evidence, on this machine
	@scripts/demo $(DEMO_FLAGS)

up: build ## start a hub in ./data and leave it in the foreground
	@$(BIN) server --data data --listen 127.0.0.1:8443

build: ## build bin/watchbill
	@scripts/need go
	@$(GO) build -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/watchbill

test: build ## run all tests, on SQLite and PostgreSQL
	@scripts/need postgres
	@scripts/with-postgres $(GO) test ./...

check: ## what continuous integration runs
	@scripts/check

bench: build ## measure, beside a peer where there is one
	@scripts/bench

ops: build ## list the 216 operations and their state
	@$(BIN) ops

fmt: $(TOOLS)/gofumpt ## format the code
	@$(TOOLS)/gofumpt -w cmd internal test tools

generate: ## write the generated code anew
	@scripts/generate

$(TOOLS)/gofumpt $(TOOLS)/staticcheck:
	@$(GO) -C tools build -o ../$(TOOLS)/ mvdan.cc/gofumpt honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/session-manager-plugin: test/plugin/go.mod test/plugin/go.sum
	@$(GO) -C test/plugin build -o ../../$@ github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main

clean:
	@rm -rf bin $(TOOLS)
