# SPDX-License-Identifier: Apache-2.0
# `make` alone tells what there is.

MAKEFLAGS += --no-builtin-rules
SHELL     := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VENV     := .venv/bin
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

CLANG    ?= clang
# Headers are read as bytes, words of 16 and of 32 bits: types must not tell what overlaps.
BPFFLAGS := -O2 -g -target bpf -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -MMD -MP \
            -I /usr/include/$(shell uname -m)-linux-gnu

# What the package carries, and what only the benchmark and tests load.
PACKAGED := $(filter-out bpf/bench% bpf/harness%,$(wildcard bpf/*.bpf.c))
OBJECTS  := $(PACKAGED:bpf/%.c=src/vipd/bpf/%.o)
BENCH    := $(patsubst bpf/%.c,build/bpf/%.o,$(wildcard bpf/bench*.bpf.c bpf/harness*.bpf.c))

PYTEST   := $(VENV)/python -m pytest
TESTS    := tools/tests
# On two cores at least; the tests of one module may share a lab.
PARALLEL := -n 2 --dist loadscope
# These have targets of their own.
ELSEWHERE := --ignore tests/bpf --ignore tests/spec

.PHONY: help
help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what is missing, make .venv, build (every other target does it too)
	@tools/setup

.PHONY: build
build: setup ## the BPF objects, and the generated files
	@if [ -f tools/gen_abi.py ]; then $(VENV)/python tools/gen_abi.py; fi

# Compiles without any set-up: for packagers, and for tools/setup itself.
.PHONY: objects
objects: $(OBJECTS) $(BENCH)

src/vipd/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D) build/bpf
	@echo "compiling $<"
	@$(CLANG) $(BPFFLAGS) -MF build/bpf/$*.d -c $< -o $@

build/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	@echo "compiling $<"
	@$(CLANG) $(BPFFLAGS) -MF build/bpf/$*.d -c $< -o $@

-include $(wildcard build/bpf/*.d)

.PHONY: check
check: setup ## format, lint, types, layers, sizes, generated files
	@tools/check

.PHONY: format
format: setup ## put Python and C into form
	$(VENV)/ruff format
	$(VENV)/ruff check --fix --select I
	clang-format -i bpf/*.[ch] tests/interop/hdlcline/*.c

.PHONY: unit
unit: setup ## tests that need no root
	$(TESTS) $(PARALLEL) -m 'not root and not interop and not large'

.PHONY: bpf
bpf: setup ## the BPF programs, packet by packet (root)
	$(TESTS) -m root $(PARALLEL) tests/bpf

.PHONY: spec
spec: setup ## the data plane against its specification (root); SPEC_MINUTES=2, SPEC_SEED=…
	$(PYTEST) -s -m root tests/spec

.PHONY: corpus
corpus: setup ## 450 frames cut everywhere and with every bit flipped (root; minutes), of which `make spec` flips some
	CORPUS_FLIPS=100 $(PYTEST) -s -m root tests/spec/test_corpus.py

.PHONY: mutants
mutants: setup ## mutants of the data plane: every one must be found out (root; half an hour); MUTANTS="--count 150"
	$(VENV)/python tools/mutate.py $(MUTANTS)

.PHONY: defects
defects: setup ## defects planted in every stage, and how soon the search finds each (root; some minutes)
	$(VENV)/python tools/mutate.py --defects

.PHONY: netns
netns: setup ## everything else that needs root: real traffic in network namespaces
	$(TESTS) -m root $(PARALLEL) $(ELSEWHERE)

.PHONY: large
large: setup ## ten million flows through ten directors (a minute or two, 2 GB)
	$(PYTEST) -s -m large tests/simulation

.PHONY: interop
interop: setup ## real servers on Debian's own kernel under qemu (root; some minutes)
	@tools/setup interop
	$(PYTEST) -m interop tests/interop

.PHONY: goldens
goldens: setup ## ask the kernel's own director, IPVS, again (some minutes); writes tests/golden/ipvs.json
	@tools/setup interop
	$(VENV)/python tools/ipvs_goldens.py
	$(VENV)/python tools/gen_docs.py

.PHONY: test
test: check unit bpf spec netns ## all of it

.PHONY: demo
demo: setup ## all three methods, and one server across a line, with real traffic (root); writes build/demo.json
	$(VENV)/vipd demo --json build/demo.json

.PHONY: bench
bench: ## figures, beside other balancers (root); writes build/bench.json
	@tools/setup bench
	$(VENV)/python -m bench

.PHONY: fuzz
fuzz: ## look for bytes that break a decoder: FUZZ_SECONDS (600) in all, FUZZ_TARGETS (all)
	@tools/fuzz

.PHONY: wheel
wheel: setup ## dist/vipd-*.whl, tried out in an environment without a compiler
	@tools/wheel

.PHONY: clean
clean: ## remove all that was built; .venv too
	rm -rf build dist .venv src/vipd/bpf .mypy_cache .ruff_cache .pytest_cache .hypothesis
