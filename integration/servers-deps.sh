#!/bin/sh
# Installs, on Debian, the servers that make integration-servers drives, as far
# as they are missing, and lets none of them start.
set -eu
PATH="$PATH:/usr/sbin"
want=
while read -r has package; do
	command -v "$has" >/dev/null || test -e "$has" || want="$want $package"
done <<END
nginx nginx-light
/usr/lib/nginx/modules/ngx_http_dav_ext_module.so libnginx-mod-http-dav-ext
smbd samba
vsftpd vsftpd
syncthing syncthing
END
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
