#!/bin/sh
# newer-git-annex.sh PREFIX: puts the git-annex of Debian's backports, which has
# git-remote-annex, into PREFIX/bin, beside that of the system and without
# touching it. Does nothing if it is there. apt runs with lists and a cache of
# its own, without root; the mirror is the one that apt is configured for. The
# libraries that it needs are those of the system's git-annex.
set -eu
min=10.20250416

die() { echo "newer-git-annex.sh: $*" >&2; exit 1; }
mkdir -p "$1"
prefix=$(cd "$1" && pwd)

good() {
	have=$("$prefix/bin/git-annex" version --raw 2>/dev/null) || return 1
	dpkg --compare-versions "${have%%-*}" ge "$min"
}
if good; then exit 0; fi

. /etc/os-release
suite=$VERSION_CODENAME-backports
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as a user of its own
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/debs"
if [ "$(id -u)" -eq 0 ]; then chown _apt "$work/debs" "$work/lists/partial"; fi

# The entry that serves this release, for the other suite.
for f in /etc/apt/sources.list.d/*.sources; do
	[ -f "$f" ] || continue
	sed '/^#/d' "$f" | awk -v RS= -v FS='\n' -v code="$VERSION_CODENAME" -v suite="$suite" '{
		ok = 0; out = ""
		for (i = 1; i <= NF; i++) {
			line = $i; n = split(line, w, /[ \t]+/)
			if (tolower(w[1]) == "suites:") {
				for (j = 2; j <= n; j++) if (w[j] == code) ok = 1
				line = "Suites: " suite
			}
			if (tolower(w[1]) == "components:") line = "Components: main"
			out = out line "\n"
		}
		if (ok) { printf "%s", out; exit }
	}' > "$work/parts/a.sources"
	[ ! -s "$work/parts/a.sources" ] || break
done
if [ ! -s "$work/parts/a.sources" ] && [ -f /etc/apt/sources.list ]; then
	sed -n "s/^\(deb .*\) $VERSION_CODENAME .*/\1 $suite main/p" /etc/apt/sources.list | head -1 > "$work/parts/a.list"
fi

# Hooks of /etc/apt/apt.conf.d would clean the system's cache or call daemons.
cat > "$work/apt.conf" <<T
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/parts";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::Retries "3";
T
apt-get -c "$work/apt.conf" -qq -o APT::Update::Error-Mode=any update || die "the mirror gives no list of $suite"
(cd "$work/debs" && apt-get -c "$work/apt.conf" -qq download "git-annex/$suite") || die "git-annex/$suite cannot be downloaded"
dpkg -x "$work"/debs/git-annex_*.deb "$prefix"
mkdir -p "$prefix/bin"
for name in git-annex git-annex-shell git-remote-annex; do ln -sf "../usr/bin/$name" "$prefix/bin/$name"; done
good || die "what was unpacked does not run, or is older than $min: $("$prefix/bin/git-annex" version --raw 2>&1)"
