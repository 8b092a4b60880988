# A thin front to cmake and the scripts; `make help` says what there is.
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 3600
BENCH_SECONDS ?= 1
BENCH_ROUNDS ?= 3
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build run test soak bench fuzz fuzz-coverage format deb install-deps clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

build: ## the program, optimised: build/release/pier
	@packaging/install-deps.sh build
	packaging/build.sh release -DPIER_TESTS=OFF pier

run: ## builds Pier and serves the sample mail on 127.0.0.1: POP3 1110, POP3S 1995, LMTP 1024, SMTP 1025, submission 1587 and 1465
	@packaging/install-deps.sh build run demo
	packaging/build.sh release -DPIER_TESTS=OFF pier
	exec packaging/demo/run-demo

test: ## every test there is, in one ctest run (about 20 minutes on two cores)
	@packaging/install-deps.sh build run demo test unpack deb
	exec tests/run-all.sh

soak: ## every fault of tests/faults, the long attacks, then thousands of kills under load, for SOAK_SECONDS (3600)
	@packaging/install-deps.sh build run demo test
	packaging/build.sh release -DPIER_TESTS=ON pier pier_faults
	python3 tests/faults/faults.py --pier build/release/pier --shim build/release/tests/libpier_faults.so --runs 1000 \
	    errno start power index space descriptors clock memory flipped
	python3 tests/attacks/attacks.py --pier build/release/pier --long
	python3 tests/attacks/timing.py --pier build/release/pier
	exec python3 tests/crash/crash.py --pier build/release/pier --seconds $(SOAK_SECONDS)

bench: ## Pier, Dovecot, Postfix and the limit side by side, ten minutes; BENCH_SECONDS, BENCH_ONLY, BENCH_LARGE=1: bench/README.md
	@packaging/install-deps.sh build run bench unpack
	packaging/build.sh release -DPIER_TESTS=OFF -DPIER_BENCH=ON pier pier_load pier_limit
	python3 bench/load_test.py build/release/bench/pier_load
	$(if $(BENCH_ONLY),,python3 bench/smtp.py --pier build/release/pier --unpacked build/unpacked --rounds $(BENCH_ROUNDS))
	$(if $(BENCH_ONLY),,python3 bench/queue_drain.py --pier build/release/pier --unpacked build/unpacked)
	exec python3 bench/run.py --pier build/release/pier --load build/release/bench/pier_load --limit build/release/bench/pier_limit \
	    --dovecot mdbox,sdbox --seconds $(BENCH_SECONDS) --rounds $(BENCH_ROUNDS) $(if $(BENCH_LARGE),--large) \
	    $(if $(BENCH_ONLY),--only $(BENCH_ONLY),--results bench/RESULTS.md)

fuzz: ## each fuzzer for FUZZ_SECONDS (600), two at a time; new inputs stay in build/fuzz-corpus: docs/fuzzing.md
	@packaging/install-deps.sh build test
	exec tests/fuzz.py $(FUZZ_SECONDS)

fuzz-coverage: ## how much of each parser the kept inputs reach
	@packaging/install-deps.sh build test coverage
	exec tests/fuzz_coverage.py

format: ## brings all code into the project's form
	@packaging/install-deps.sh test
	git ls-files -z -- 'src/*.h' 'src/*.cc' 'tests/*.h' 'tests/*.cc' 'fuzz/*.h' 'fuzz/*.cc' 'bench/*.h' 'bench/*.cc' | xargs -0 clang-format-14 -i

deb: ## a Debian package: build/pier_VERSION_ARCH.deb
	@packaging/install-deps.sh build run deb
	packaging/build.sh release -DPIER_TESTS=OFF pier
	packaging/make-deb.sh

install-deps: ## installs what building and running need (packaging/deps.txt)
	@packaging/install-deps.sh build run demo

clean: ## removes build/ and demo/
	rm -rf build demo
