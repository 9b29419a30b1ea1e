# The few words a person types. Everything real happens in CMake and in the scripts this calls.
SHELL := /bin/bash
BUILD ?= build/release
JOBS ?= $(shell nproc)

.PHONY: help
help:  ## What there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup:
	@deploy/toolchain/install_packages.sh build

.PHONY: build
build: setup  ## Release build of everything, into build/release
	@[ -f $(BUILD)/build.ninja ] || cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)

.PHONY: test
test: build  ## Build and run all tests
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)
