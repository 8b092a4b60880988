#!/bin/bash
# Runs fuzzers: tests/fuzz.sh SECONDS [NAME...]   (no NAME: all of them, one after the other)
#
# Each starts from fuzz/corpus/NAME and what earlier runs found (build/fuzz-corpus/NAME), with fuzz/NAME.dict. An input
# that breaks something is left in build/fuzz-found/ and its path printed: add it to fuzz/corpus/NAME with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
if [ $# -eq 0 ]; then
    packaging/build.sh fuzz fuzz/all
    set -- $(cd fuzz && ls ./*.cc | sed 's|^\./||; s|\.cc$||')
fi
for name in "$@"; do
    found=build/fuzz-found
    corpus=build/fuzz-corpus/$name
    mkdir -p "$found" "$corpus" "fuzz/corpus/$name"
    arguments=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0
               -artifact_prefix="$found/$name-")
    [ ! -f "fuzz/$name.dict" ] || arguments+=(-dict="fuzz/$name.dict")
    echo "fuzz_$name for $seconds s"
    "build/fuzz/fuzz/fuzz_$name" "${arguments[@]}" "$corpus" "fuzz/corpus/$name"
done
