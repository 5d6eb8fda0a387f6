VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
PREFIX ?= /usr/local
FUZZTIME ?= 30s
export CGO_ENABLED ?= 0
BUILD = go build -trimpath -ldflags '-s -w -X shardraid/cli.version=$(VERSION)'
SUDO = $(shell test "$$(id -u)" = 0 || echo sudo)

build: ## build bin/shardraid and the two names that git-annex calls it by, and git-annex-remote-torrent
	$(BUILD) -o bin/shardraid ./cmd/shardraid
	$(BUILD) -o bin/git-annex-remote-torrent ./cmd/git-annex-remote-torrent
	ln -sf shardraid bin/git-annex-remote-shardraid
	ln -sf shardraid bin/git-annex-shardraid

install: build ## install into $(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install bin/shardraid bin/git-annex-remote-torrent $(DESTDIR)$(PREFIX)/bin/
	ln -sf shardraid $(DESTDIR)$(PREFIX)/bin/git-annex-remote-shardraid
	ln -sf shardraid $(DESTDIR)$(PREFIX)/bin/git-annex-shardraid

dist: ## tar.gz for linux, amd64 and arm64, static, into dist/
	@for arch in amd64 arm64; do \
	  name=shardraid-$(VERSION)-linux-$$arch; rm -rf dist/$$name; mkdir -p dist/$$name; \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(BUILD) -o dist/$$name/ ./cmd/shardraid ./cmd/git-annex-remote-torrent || exit 1; \
	  ln -s shardraid dist/$$name/git-annex-remote-shardraid; ln -s shardraid dist/$$name/git-annex-shardraid; \
	  cp -r README.md LICENSE docs dist/$$name/; \
	  tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$$(git log -1 --format=%ct) -czf dist/$$name.tar.gz $$name || exit 1; \
	  rm -rf dist/$$name; ls -l dist/$$name.tar.gz; \
	done

deps: packages .cache/bin/rclone .cache/bin/toxiproxy ## install what the tests need (aria2, mktorrent, opentracker besides)
	$(SUDO) sh integration/debian-deps.sh aria2c:aria2 mktorrent:mktorrent opentracker:opentracker

packages: ## install what the demo needs, and more (Debian: git-annex, gnupg, openssh-server, gcc, python3-cryptography)
	@for c in git-annex:git-annex gpg:gnupg sshd:openssh-server gcc:gcc+libc6-dev /usr/lib/python3/dist-packages/cryptography/__init__.py:python3-cryptography; do \
	  PATH="$$PATH:/usr/sbin" command -v $${c%%:*} >/dev/null || test -e $${c%%:*} || want="$$want $$(echo $${c##*:} | tr + " ")"; \
	done; \
	if [ -n "$$want" ]; then \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$want; \
	fi
	@sh integration/newer-git-annex.sh .cache/git-annex

servers-deps: deps .cache/bin/versitygw .cache/bin/minio ## install what make integration-servers needs (Debian packages, and minio, which takes minutes to build)
	$(SUDO) sh integration/debian-deps.sh nginx:nginx-light /usr/lib/nginx/modules/ngx_http_dav_ext_module.so:libnginx-mod-http-dav-ext smbd:samba vsftpd:vsftpd syncthing:syncthing

# Test servers, built apart from go.mod, which need not know what they need.
TOOL = GOBIN=$(CURDIR)/.cache/bin go install -trimpath -ldflags '-s -w'
.cache/bin/rclone:
	$(TOOL) github.com/rclone/rclone@$$(go list -m -f '{{.Version}}' github.com/rclone/rclone)
.cache/bin/toxiproxy:
	$(TOOL) github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0
	mv .cache/bin/server $@

.cache/bin/versitygw:
	$(TOOL) github.com/versity/versitygw/cmd/versitygw@v1.8.0
.cache/bin/minio:
	$(TOOL) github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

demo: packages build ## show in a minute what it is for; leaves nothing behind
	@PATH="$(CURDIR)/bin:$$PATH" sh integration/demo.sh

test: deps lint unit integration ## everything that must pass

unit: ## unit tests with the race detector
	CGO_ENABLED=1 go test -race -timeout 25m ./annex ./backends/... ./cli ./clone ./erasure ./integration/bench ./layout ./manifest ./object ./remote ./torrent ./vault .
	SHARDRAID_SEEDS=10000 SHARDRAID_SCHEDULES=5 go test -run '^Test(Simulate|Interleavings)$$' ./object
	go test -timeout 25m -run CrashPoints ./object -crashstride 40

integration: build ## real git-annex, real binary, real servers
	SHARDRAID_BIN=$(CURDIR)/bin go test -count 1 -timeout 25m ./integration

newer: build ## the same with the git-annex of Debian's backports (a quarter of an hour)
	PATH="$(CURDIR)/.cache/git-annex/bin:$$PATH" SHARDRAID_BIN=$(CURDIR)/bin go test -count 1 -timeout 25m ./integration

SERVERS ?=
integration-servers: servers-deps build ## the scripts over servers, with real ones: nginx, Samba, vsftpd, versitygw, MinIO, OpenSSH, syncthing (a part: SERVERS=each/samba)
	SHARDRAID_BIN=$(CURDIR)/bin SHARDRAID_SERVERS=yes SERVERS='$(SERVERS)' go test -count 1 -timeout 90m -v -run '^TestRealServers$$' ./integration

N ?= 1000
kills: build ## kill the real process $(N) times under the real git-annex (20 minutes to an hour; KILLS_SEED=... draws the same again)
	SHARDRAID_BIN=$(CURDIR)/bin KILLS=$(N) go test -count 1 -timeout 12h -v -run '^TestKills$$' ./integration

check: lint unit ## what is quick

lint: ## gofmt, vet, staticcheck, the list of mutants, known vulnerabilities
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w .'; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	@go run ./integration/mutants -check
	@if getent hosts vuln.go.dev >/dev/null; then go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...; \
	else echo 'NOT CHECKED for known vulnerabilities: vuln.go.dev cannot be reached'; fi

mutants: ## take each security check out once: a test must fail (about 8 minutes)
	go run ./integration/mutants

crashpoints: ## stop every command at every operation, and its recovery too (about 87,000 points: 20 minutes on a quiet machine)
	go test -count 1 -timeout 3h -v -run 'CrashPoints|ApplyTwice' ./object -crashstride 1

golden: ## rewrite the golden vectors (a promise: only for a new format version)
	go test ./erasure ./manifest ./vault ./object -run Golden -update

SEEDS ?= 100000
SEED ?= 1
simulate: ## run $(SEEDS) simulations of the record protocol, from seed $(SEED) on
	SHARDRAID_SEEDS=$(SEEDS) SHARDRAID_SEED=$(SEED) go test -count 1 -v -timeout 24h -run '^TestSimulate$$' ./object

interleave: ## let two requests meet in all states of an object, in more than a million schedules
	SHARDRAID_SCHEDULES=0 go test -count 1 -v -timeout 24h -run '^TestInterleavings$$' ./object

FUZZ = annex backends cli clone erasure layout manifest object torrent vault
fuzz: ## run every fuzz target for $(FUZZTIME)
	@for p in $(FUZZ); do \
	  for f in $$(go test ./$$p -list '^Fuzz' | grep ^Fuzz); do \
	    echo "== $$p $$f"; go test ./$$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; \
	done

BENCH ?=
bench: build .cache/bin/rclone ## measure beside the peers, and the pure pipeline (two hours; a part: BENCH='-run links -n 1')
	go run ./integration/bench $(BENCH)
	$(MAKE) pipeline

pipeline: ## the pure pipeline: seal, code, tag
	go test -run '^$$' -bench . -cpu 1,2 ./erasure

testremote: build ## what is long: git annex testremote in full at its default sizes, a torrent from Transmission (to be installed)
	SHARDRAID_BIN=$(CURDIR)/bin SHARDRAID_LONG=1 go test -count 1 -timeout 3h -v -run TestLong ./integration

clean: ## remove bin/ and dist/
	rm -rf bin dist

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 22

.PHONY: build install dist deps packages demo test unit integration newer integration-servers servers-deps check lint golden fuzz simulate interleave crashpoints mutants bench pipeline testremote kills clean help
.DEFAULT_GOAL := build
