#!/bin/bash
# What `make test` runs, after the packages are there: builds what the tests need and runs every test in one ctest run.
#
#   asan.*    every unit test and dialogue script, with address and undefined-behaviour sanitizers
#   tsan.*    the unit tests of folders that have threads, with the thread sanitizer
#   fuzz.*    each fuzzer for FUZZ_SECONDS (30)
#   program.* the optimised program: tidy, packaging, real clients, real senders, kills
#
# Arguments go to ctest: tests/run-all.sh -R client
set -euo pipefail
cd "$(dirname "$0")/.."
started=$(date +%s)
packaging/build.sh asan -DPIER_TESTS=ON unit_tests
packaging/build.sh tsan -DPIER_TESTS=ON threaded_tests
# Only the fuzzers and what they link: clang 14 cannot compile coroutines with sanitizers.
packaging/build.sh fuzz fuzz/all
packaging/build.sh release -DPIER_TESTS=ON pier pier_faults
# A change is judged by what it changes, not by another throw of the dice: those are for `make fuzz`.
export FUZZ_SEED=${FUZZ_SEED:-1}
echo "built in $(($(date +%s) - started)) s"

python3 tests/all_tests.py --into build/all --fuzz-seconds "${FUZZ_SECONDS:-30}" \
    asan=build/asan:'^unit_' \
    tsan=build/tsan:'^unit_(base|net|dns|store|auth|queue|delivery|serve)$' \
    fuzz=build/fuzz \
    program=build/release:'^(?!unit_)'

# Sanitizers: everything they find is a failure. (alloc_dealloc_mismatch and the like stay at their strict defaults.)
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1:suppressions=$PWD/tests/tsan.suppressions
exec ctest --test-dir build/all -j "${TEST_JOBS:-2}" --output-on-failure --no-tests=error "$@"
