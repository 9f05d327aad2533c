#!/bin/sh
# Install Debian packages that are missing, without starting the services in them: deploy/debian_packages.sh nginx redis-server
# Not root, or not Debian: says so and ends well; the tests that need a package skip with the reason.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed (that takes root and apt):$missing; the tests that need them will be skipped"
    exit 0
fi
echo "installing$missing"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"      # Debian's own switch: no service may be started now
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends "$@" 2>&1; }
said=$(apt-get update -qq 2>&1) || echo "$said"
# shellcheck disable=SC2086  # one word a package
install $missing >/dev/null && exit 0
# apt installs all or nothing: one by one, so that a name it does not know keeps no other one out
for package in $missing; do
    said=$(install "$package") && continue
    echo "$said"
    echo "could not be installed: $package; the tests that need it will be skipped"
done
