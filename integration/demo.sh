#!/bin/sh
# make demo: what shardraid is for, in a minute. Everything happens in a
# directory of its own, which is removed at the end.
set -eu
export LC_ALL=C
demo=$(mktemp -d "${TMPDIR:-/tmp}/shardraid-demo.XXXXXX")
trap 'chmod -R u+w "$demo"; rm -rf "$demo"' EXIT
export HOME="$demo/home" XDG_CONFIG_HOME="$demo/home/.config" XDG_CACHE_HOME="$demo/home/.cache"
unset GIT_DIR GIT_WORK_TREE || true
mkdir -p "$HOME" "$demo/accounts"
git config --global user.name demo
git config --global user.email demo@example.com
git config --global init.defaultBranch main

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
	printf '  $ %s\n' "$*"
	"$@" > "$demo/out" 2>&1 || { cat "$demo/out"; echo "THE DEMO FAILED at: $*"; exit 1; }
	sed 's/^/    /' "$demo/out"
}
size() { du -sh "$1" | cut -f1; }

say "1. A git-annex repository with one real file in it: the shardraid program itself."
mkdir "$demo/repo"; cd "$demo/repo"
git init -q; git annex init -q demo
cp "$(command -v shardraid)" movie.bin
git annex add -q movie.bin; git commit -q -m 'add a file'
before=$(sha256sum < movie.bin)
echo "  movie.bin, $(wc -c < movie.bin) bytes, sha256 $(echo "$before" | cut -c1-16)..."

say "2. Six directories play the part of six free cloud accounts."
{
	echo 'shardraid: 1'
	echo 'data: 4      # any four of the six accounts bring a file back,'
	echo 'parity: 2    # so any two of them may be lost'
	echo 'backends:'
	for name in anna box cloud drive earth fritz; do
		echo "  - {name: $name, remote: $demo/accounts/$name}"
	done
} > shardraid.yaml
sed 's/^/    /' shardraid.yaml
run git annex initremote raid type=external externaltype=shardraid encryption=none layout=shardraid.yaml -q

say "3. The file goes to the accounts, encrypted, a quarter of its size to each, and the local copy is dropped."
run git annex copy -q --to raid movie.bin
run git annex drop -q movie.bin
for account in "$demo"/accounts/*; do echo "    $(basename "$account"): $(size "$account")"; done
test ! -e movie.bin || { echo 'the file is still here?'; exit 1; }
echo '    movie.bin is now a dangling link: its content is nowhere but on the accounts.'

say "4. Disaster: two accounts are closed, with everything in them."
run rm -rf "$demo/accounts/box" "$demo/accounts/earth"
ls "$demo/accounts" | sed 's/^/    still there: /'

say "5. git-annex asks for the file back."
run git annex get -q movie.bin
after=$(sha256sum < movie.bin)
test "$before" = "$after" || { echo 'THE FILE DIFFERS'; exit 1; }
echo "    sha256 $(echo "$after" | cut -c1-16)... the same file, bit for bit."
run git annex fsck -q --from raid movie.bin
echo '    git annex fsck is content as well.'

say "6. A third account dies: now there is too little left, and it is said, not hidden."
rm -rf "$demo/accounts/anna"
if git annex drop movie.bin > "$demo/out" 2>&1; then echo 'git-annex dropped the last copy?'; exit 1; fi
echo '  $ git annex drop movie.bin'
sed 's/^/    /' "$demo/out" | grep -E 'unsafe|Unable' || true
echo '    git-annex keeps your local copy, since shardraid does not vouch for the one in the cloud.'

say "What happened"
cat <<'T'
  Each file is encrypted on your machine and cut into four pieces; two more
  pieces are computed from them. Each of the six accounts gets one piece. Any
  four pieces are enough to compute the file, whichever two are missing. No
  account can read anything, and each holds a quarter of the size: you pay for
  1.5 copies and survive what would else take three.
T
