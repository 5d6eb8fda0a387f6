#!/bin/sh
# Installs, on Debian, packages of which something is missing, given as
# COMMAND-OR-FILE:PACKAGE, and lets none of their services start.
set -eu
PATH="$PATH:/usr/sbin"
want=
for p in "$@"; do
	command -v "${p%%:*}" >/dev/null || test -e "${p%%:*}" || want="$want ${p#*:}"
done
test -n "$want" || exit 0
policy=/usr/sbin/policy-rc.d # what invoke-rc.d asks before it starts a service
if ! test -e $policy; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
fi
apt-get update -q
# shellcheck disable=SC2086 # they are words
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $want
