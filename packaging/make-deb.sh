#!/bin/bash
# Makes a Debian package; needs no root.   make-deb.sh [PROGRAM [PACKAGE]]
# By default from build/release/pier to build/pier_VERSION_ARCHITECTURE.deb.
set -euo pipefail
cd "$(dirname "$0")/.."
pier=${1:-build/release/pier}
version=$(sed -n 's/^project(pier VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
architecture=$(dpkg --print-architecture)
package=${2:-build/pier_${version}_$architecture.deb}
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/deb

install -D -m 755 "$pier" "$tree/usr/bin/pier"
strip --strip-unneeded "$tree/usr/bin/pier"
for unit in packaging/systemd/*; do
    install -D -m 644 "$unit" "$tree/lib/systemd/system/$(basename "$unit")"
done
install -D -m 644 packaging/sysusers.d/pier.conf "$tree/usr/lib/sysusers.d/pier.conf"
install -D -m 644 packaging/fail2ban/filter.d/pier.conf "$tree/etc/fail2ban/filter.d/pier.conf"
install -D -m 644 packaging/fail2ban/jail.d/pier.conf "$tree/etc/fail2ban/jail.d/pier.conf"
install -D -m 644 packaging/pam.d/pier "$tree/etc/pam.d/pier"
install -d "$tree/etc/pier" "$tree/usr/share/man/man1" "$tree/usr/share/bash-completion/completions" \
    "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d" "$tree/usr/share/doc/pier" "$tree/DEBIAN"
"$pier" config sample >"$tree/etc/pier/pier.toml"
"$pier" man | gzip -9n >"$tree/usr/share/man/man1/pier.1.gz"
"$pier" completion bash >"$tree/usr/share/bash-completion/completions/pier"
"$pier" completion zsh >"$tree/usr/share/zsh/vendor-completions/_pier"
"$pier" completion fish >"$tree/usr/share/fish/vendor_completions.d/pier.fish"
cp README.md docs/*.md "$tree/usr/share/doc/pier/"
{
    echo "Pier, a mail server. Licensed under the Apache License, Version 2.0:"
    echo "on Debian systems /usr/share/common-licenses/Apache-2.0."
} >"$tree/usr/share/doc/pier/copyright"

# dpkg-shlibdeps insists on a source package's control file.
mkdir -p "$work/libraries/debian"
printf 'Source: pier\nPackage: pier\nArchitecture: any\n' >"$work/libraries/debian/control"
libraries=$(cd "$work/libraries" && dpkg-shlibdeps -O -e"$tree/usr/bin/pier" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || { echo "make-deb: dpkg-shlibdeps found no libraries; is $pier built?" >&2; exit 1; }

cat >"$tree/DEBIAN/control" <<END
Package: pier
Version: $version
Architecture: $architecture
Maintainer: The Pier developers <pier@pier.example>
Section: mail
Priority: optional
Depends: $libraries
Recommends: systemd
Provides: pop3-server
Installed-Size: $(du -k -s --exclude=DEBIAN "$tree" | cut -f1)
Description: mail server: POP3 and LMTP on a durable store
 Mail comes in over LMTP from the mail server that takes it from the world, is
 kept in a log-structured store that acknowledges nothing before it is on disk,
 and goes out over POP3 with TLS. One process, one configuration file.
END
printf '%s\n' /etc/pier/pier.toml /etc/pam.d/pier /etc/fail2ban/filter.d/pier.conf /etc/fail2ban/jail.d/pier.conf >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers pier.conf
    elif ! getent passwd pier >/dev/null; then
        useradd --system --home-dir /var/lib/pier --shell /usr/sbin/nologin pier
    fi
    install -d -m 700 -o pier -g pier /var/lib/pier
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        [ -z "$2" ] || systemctl try-restart pier.service
    fi
    if [ -z "$2" ]; then
        echo "pier: edit /etc/pier/pier.toml, then: pier check && systemctl enable --now pier"
    fi
fi
END
cat >"$tree/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now pier.service pier-pop3.socket pier-pop3s.socket pier-lmtp.socket
fi
END
cat >"$tree/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
# Mail is never removed: /var/lib/pier and the user stay, also after a purge.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
END
chmod 755 "$tree"/DEBIAN/postinst "$tree"/DEBIAN/prerm "$tree"/DEBIAN/postrm
dpkg-deb --root-owner-group --build "$tree" "$package"
