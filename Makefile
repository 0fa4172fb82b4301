# make            build, vet and test
# make run        build everything and serve it on http://127.0.0.1:8080
# make help       the rest

SHELL := /bin/bash
BIN := bin/melodyud
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/melodyud/melodyud/internal/node.version=$(VERSION)
H2SPEC := github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
MINIO := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c

PACKAGES = $(shell go list ./... | grep -v /node_modules/)
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

.PHONY: all build vet vuln test h2spec integration race fuzz soak e2e bench bench-start bench-sound bench-edge cache-tests run web help clean

all: build vet test ## build, vet and test

build: web ## the one binary, with the page inside: bin/melodyud
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/melodyud

web: web/dist/index.html ## the page

web/dist/index.html: $(WEB_SOURCES)
	@deploy/need node:nodejs npm:npm
	cd web && npm ci --no-audit --no-fund && npm run build
	@touch $@

run: build ## build and serve everything on this machine
	$(BIN) serve

vet: ## formatting, go vet and staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "run gofmt on:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.6.1 ./...

vuln: ## known holes in dependencies; needs vuln.go.dev, or MELODYUD_VULNDB=file:///… with a copy of its database
	@if [ -n "$$MELODYUD_VULNDB" ] || getent hosts vuln.go.dev >/dev/null; then \
		go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 $${MELODYUD_VULNDB:+-db $$MELODYUD_VULNDB} ./...; \
	else echo "SKIPPED: vuln.go.dev cannot be reached, dependencies were not scanned"; fi

# Stories mostly wait for leases and real processes: more of them at once than
# there are processors.
TEST := go test -parallel 8

test: ## unit and story tests; what needs a server that is not installed says so and is skipped
	$(TEST) $(PACKAGES)

race: ## the same under the race detector
	$(TEST) -race $(PACKAGES)

# What computes and shares nothing, and the command line, whose servers are processes
# of their own, are not run under the race detector there.
ENGINES = $(shell go list ./cmd/... ./transcode/... ./packager/... ./fixtures/... | grep -v '/transcode$$')
REAL := MELODYUD_CORPUS=none MELODYUD_INTEGRATION=1 MELODYUD_OUTSIDE=1 MELODYUD_MINIO=$(CURDIR)/.cache/minio MELODYUD_H2SPEC=$(CURDIR)/.cache/h2spec

integration: TEST := go test -short -parallel 4 -timeout 20m
integration: .cache/minio .cache/h2spec ## the same again, on real Redis, PostgreSQL and MinIO and with outside clients, without the longest
	@deploy/need redis-server:redis-server initdb:postgresql ffmpeg:ffmpeg mediainfo:mediainfo flac:flac faad:faad mpv:mpv cvlc:vlc-bin+vlc-plugin-base node:nodejs npm:npm
	$(REAL) $(TEST) -race -count=1 $(filter-out $(ENGINES),$(PACKAGES))
	$(REAL) $(TEST) -count=1 $(ENGINES)

.cache/h2spec:
	mkdir -p .cache && GOBIN=$(CURDIR)/.cache go install $(H2SPEC)

h2spec: .cache/h2spec ## the conformance suite of HTTP/2: at least 140 of its 145 cases
	MELODYUD_H2SPEC=$(CURDIR)/.cache/h2spec go test -count=1 -v -run 'HTTP2Suite' ./internal/node

.cache/minio:
	@echo "Building the MinIO server for the tests (some minutes, once)"
	mkdir -p .cache && GOBIN=$(CURDIR)/.cache go install $(MINIO)

FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME (10s, or 5000x for a number of inputs)
	@set -e; for p in $(PACKAGES); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p; done; done

MUTANTS ?= 200000
soak: ## what takes long: MUTANTS (200000) broken files through the decoders; uploads while the server is killed and connections are cut; 10,000 players on a cold track
	MELODYUD_SOAK=1 go test -count=1 -timeout 1h -v -run 'NoAcknowledgedByteIsLostHowever' ./ingest
	MELODYUD_SOAK=1 go test -count=1 -timeout 1h -v -run 'TenThousandPlayers' ./cmd/melodyud
	MELODYUD_MUTANTS=$(MUTANTS) go test -count=1 -timeout 3h -v -run 'NoMutant' ./transcode/decode
	MELODYUD_SOAK=1 go test -count=1 -timeout 1h -v -run 'IdleConnections|OneByteASecond|SlowHeaders' ./internal/node

e2e: build ## upload and play in a real browser
	@deploy/need chromium:chromium firefox-esr:firefox-esr node:nodejs npm:npm
	cd web && npm run e2e

bench: build ## speed, as ratios against ffmpeg and flac in the same run
	@deploy/need ffmpeg:ffmpeg flac:flac taskset:util-linux aubioonset:aubio-tools fpcalc:libchromaprint-tools
	go test -run '^$$' -bench . -benchtime 3x ./transcode/... ./packager/... ./edge/... ./internal/node

bench-start: build ## from the press of play to the first sound in Chromium, over a network with a round trip (RTT=0,50 RUNS=50); needs root
	@deploy/need chromium:chromium ip:iproute2 ffmpeg:ffmpeg node:nodejs npm:npm
	cd web && MELODYUD_BENCH_START=1 RUNS=$${RUNS:-50} npx vitest run --config e2e/vitest.config.ts start.bench

bench-sound: ## how well sound is understood, against the truth and other tools; exits 1 when a gate fails
	@deploy/need fluidsynth:fluidsynth+fluid-soundfont-gm+timgm6mb-soundfont ffmpeg:ffmpeg aubiotrack:aubio-tools bpm:bpm-tools sox:sox
	go run ./transcode/features/soundbench $(if $(TABLES),-tables $(TABLES))

# The suite is no release of npm's that could be pinned: 0.4.5 there is older than RFC 9111.
cache-tests: ## the public suite of HTTP caches against ours; CACHE_TESTS is a checkout of http-tests/cache-tests after npm install --omit=dev
	@deploy/need node:nodejs npm:npm
	@test -n "$(CACHE_TESTS)" || { echo "SKIPPED: CACHE_TESTS names no checkout of http-tests/cache-tests (docs/benchmarks.md says which commit)"; }
	@test -z "$(CACHE_TESTS)" || MELODYUD_CACHE_TESTS=$(abspath $(CACHE_TESTS)) go test -count=1 -v -run ThePublicSuite ./edge/httpcache

bench-edge: build ## the edge against nginx and Varnish by processor time, one processor for the server and one for the load; exits 1 when a bar is missed
	@deploy/need nginx:nginx varnishd:varnish wrk:wrk taskset:util-linux
	go run ./edge/wire/wirebench

help: ## this list
	@grep -hE '^[a-z][a-z/.0-9]*:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

clean: ## remove what was built
	rm -rf bin dist .cache web/node_modules
