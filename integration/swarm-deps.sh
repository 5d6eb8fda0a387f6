#!/bin/sh
# Installs, on Debian, what the scripts over torrents drive, as far as it is
# missing, and lets no tracker start.
set -eu
want=
for p in aria2c:aria2 mktorrent:mktorrent opentracker:opentracker; do
	command -v "${p%%:*}" >/dev/null || want="$want ${p#*:}"
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
