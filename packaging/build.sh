#!/bin/bash
# Configures a preset of CMakePresets.json and builds the targets given, quietly unless something fails.
#
#   packaging/build.sh PRESET [-DKEY=VALUE]... TARGET...
#
# JOBS is the number of parallel compilers (default: one per core, but never more than memory allows).
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
defines=()
while [[ ${1:-} == -D* ]]; do
    defines+=("$1")
    shift
done

# A compiler here takes up to 1.5 GB; without this a small machine dies swapping.
gigabytes=$(awk '/MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo)
jobs=${JOBS:-$(nproc)}
if [ "$gigabytes" -lt "$jobs" ]; then
    jobs=$((gigabytes > 1 ? gigabytes : 1))
fi

# So that another checkout of the same sources finds what this one has compiled.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

mkdir -p "build/$preset"
log=build/$preset/configure.log
if ! cmake --preset "$preset" "${defines[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    echo "build: cmake could not configure (above); if a library is missing run packaging/install-deps.sh build" >&2
    exit 1
fi
echo "building $preset: $*"
exec cmake --build "build/$preset" -j "$jobs" --target "$@"
