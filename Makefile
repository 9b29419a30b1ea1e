# The few words a person types. Everything real happens in CMake and in the scripts that this calls.
SHELL := /bin/bash
BUILD ?= build/release
JOBS ?= $(shell nproc)
TOOLCHAIN := deploy/toolchain
# Sanitizer builds are clang's, their tests the same.
SANITIZER_BUILDS := build/asan-ubsan build/tsan

.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make run      build, fetch the default model, start a cluster, ask it something, leave it up"
	@echo "make stop     end that cluster"
	@echo "make test     build everything and run all tests"
	@echo "make sanitize run the tests under ASan+UBSan and TSan"
	@echo "make bench    measure, each figure beside its limit"
	@echo "make lint     formatting, layers, registered tests, shell, YAML, protocol"
	@echo "make format   put everything into shape"
	@echo "make fuzz     run every fuzz target for FUZZ_SECONDS (default 300)"

.PHONY: packages
packages:
	@$(TOOLCHAIN)/install_packages.sh build

.PHONY: test-tools
test-tools: packages
	@$(TOOLCHAIN)/install_packages.sh test
	@$(TOOLCHAIN)/setup_python.sh
	@$(TOOLCHAIN)/setup_go_tools.sh
	@$(TOOLCHAIN)/fetch_model.py >/dev/null
	@$(TOOLCHAIN)/with_env.sh $(TOOLCHAIN)/fetch_tokenizers.py >/dev/null

$(BUILD)/build.ninja: | packages
	@cmake --preset release | grep -E '^-- (Banyan|  )'

.PHONY: build
build: packages $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS)

.PHONY: run
run: packages $(BUILD)/build.ninja
	@cmake --build $(BUILD) -j $(JOBS) --target banyan banyan-router banyan-worker
	@$(TOOLCHAIN)/fetch_model.py >/dev/null
	@deploy/run_cluster.sh start

.PHONY: stop
stop:
	@deploy/run_cluster.sh stop

.PHONY: test
test: test-tools build
	@source $(TOOLCHAIN)/env.sh && ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) $(CTEST_FLAGS)

# The whole suite under ASan and UBSan; what links no gRPC under TSan (docs/style.md says why).
.PHONY: sanitize
sanitize: test-tools
	@$(TOOLCHAIN)/install_packages.sh lint
	@source $(TOOLCHAIN)/env.sh && for build in $(SANITIZER_BUILDS); do \
	  { [ -f $$build/build.ninja ] || cmake --preset $$(basename $$build) >/dev/null; } && \
	  cmake --build $$build -j $(JOBS) && \
	  ctest --test-dir $$build --output-on-failure -j $(JOBS) $(CTEST_FLAGS) -LE 'model|slow' || exit 1; done

.PHONY: lint
lint:
	@$(TOOLCHAIN)/install_packages.sh build lint
	@$(TOOLCHAIN)/setup_python.sh
	@tests/lint/run.sh

.PHONY: format
format:
	@$(TOOLCHAIN)/install_packages.sh lint
	@git ls-files '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format-19 -i

.PHONY: bench
bench: packages $(BUILD)/build.ninja
	@$(TOOLCHAIN)/setup_python.sh
	@$(TOOLCHAIN)/fetch_model.py >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@tests/bench/run.sh $(BUILD)

FUZZ_SECONDS ?= 300
.PHONY: fuzz
fuzz:
	@$(TOOLCHAIN)/install_packages.sh build lint
	@[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
	@cmake --build build/fuzz -j $(JOBS) --target fuzz_targets
	@tests/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)
