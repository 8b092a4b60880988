#!/bin/bash
# Installs what packaging/deps.txt lists for the sections given (default: build run demo) and nothing that is there already.
#
#   packaging/install-deps.sh [--dry-run] [build|run|demo|test|coverage|bench|unpack|deb]...
#
# Works as root or through sudo. Daemons that a package may bring are kept from starting. Section "unpack" is different:
# its packages are only unpacked under build/unpacked/. Exit: 0 all there, 1 something could not be installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
unpacked=$top/build/unpacked

fail() { printf 'install-deps: %s\n' "$*" >&2; exit 1; }
say() { printf 'install-deps: %s\n' "$*"; }

dry_run=no
sections=()
for word in "$@"; do
    case $word in
        --dry-run) dry_run=yes ;;
        build|run|demo|test|coverage|bench|unpack|deb) sections+=("$word") ;;
        *) fail "unknown section '$word'; there are: build run demo test coverage bench unpack deb" ;;
    esac
done
[ ${#sections[@]} -gt 0 ] || sections=(build run demo)

for tool in apt-get dpkg-query dpkg-deb; do
    command -v "$tool" >/dev/null || fail "no $tool here: Pier's scripts know Debian 12 only; install the equivalents of packaging/deps.txt by hand and run cmake yourself (see README.md)"
done

packages_of() {  # the packages of a section, one a line
    sed -n "/^\[$1\]/,/^\[/{/^\[/d;s/#.*//;s/[[:space:]]//g;/^\$/d;p}" "$here/deps.txt"
}

missing=()
to_unpack=()
for section in "${sections[@]}"; do
    while read -r package; do
        if [ "$section" = unpack ]; then
            [ -e "$unpacked/$package/.complete" ] || to_unpack+=("$package")
        elif [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done < <(packages_of "$section")
done
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sed '/^$/d' | sort -u)

if [ ${#missing[@]} -eq 0 ] && [ ${#to_unpack[@]} -eq 0 ]; then
    exit 0
fi
if [ "$dry_run" = yes ]; then
    [ ${#missing[@]} -eq 0 ] || say "would install: ${missing[*]}"
    [ ${#to_unpack[@]} -eq 0 ] || say "would unpack: ${to_unpack[*]}"
    exit 0
fi

. /etc/os-release
[ "${ID:-}:${VERSION_ID:-}" = debian:12 ] || say "note: this is ${PRETTY_NAME:-unknown}; the package names are those of Debian 12"

if [ "$(id -u)" = 0 ]; then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    fail "not root and no sudo; run this as root once: apt-get install --no-install-recommends ${missing[*]} ${to_unpack[*]}"
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"; }

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
policy_saved=
policy_made=no
finish() {
    if [ -n "$policy_saved" ]; then
        "${as_root[@]}" mv -f "$policy_saved" "$policy"
    elif [ "$policy_made" = yes ]; then
        "${as_root[@]}" rm -f "$policy"
    fi
    rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

keep_daemons_from_starting() {
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        policy_saved=$policy.before-pier.$$
        "${as_root[@]}" mv "$policy" "$policy_saved"
    fi
    policy_made=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

say "package lists"
apt update >"$log" 2>&1 || { tail -5 "$log" >&2; say "warning: apt-get update failed; going on with the lists that are here"; }

if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${#missing[@]} packages: ${missing[*]}"
    keep_daemons_from_starting
    if ! apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
        tail -20 "$log" >&2
        fail "apt-get install failed (above); check network and /etc/apt/sources.list, then run the same command again"
    fi
fi

for package in "${to_unpack[@]}"; do
    say "unpacking $package under build/unpacked"
    into=$unpacked/$package
    rm -rf "$into"
    mkdir -p "$into"
    ( cd "$into" && apt-get -q download "$package" ) >"$log" 2>&1 || { tail -5 "$log" >&2; fail "could not download $package (above)"; }
    dpkg-deb -x "$into"/*.deb "$into"
    rm -f "$into"/*.deb
    find "$into" -type f -perm /6000 -exec chmod ug-s {} +
    touch "$into/.complete"
done
