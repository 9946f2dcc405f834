# The entry for people: `make help`. The build itself is CMakeLists.txt and CMakePresets.json.

JOBS   ?= $(shell nproc)
PREFIX ?= /usr/local
# For `make fuzz`: one target's name, or empty for all of them; seconds for each.
T       ?=
SECONDS ?= 60
# For the long runs: where they begin, and when `make crash` has seen enough.
SEED   ?= 1
STATES ?= 100000
# One of tests/explore/parts for `make explore`, or empty for all of them.
PART   ?=
STEPS  ?= 4000000
HOURS  ?= 1
# Workloads for `make flame`; empty for the usual ones.
W      ?=

BUILD = tools/build.sh -j $(JOBS)
CTEST = ctest -j $(JOBS)

.DEFAULT_GOAL := all
.PHONY: all help setup demo demo-write-path test check asan tsan valgrind coverage fuzz crash mutants \
        explore bench bench-read bench-write bench-compaction bench-floors bench-goals \
        bench-tuning bench-full flame \
        guard simulate fmt tidy-all docs install amalgamation clean

all: ## build the library and the tool into build/release
	@$(BUILD) release

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing from Debian's packages
	@tools/setup.sh

demo: setup all ## the main job on real files: import, kill, recover, look up, compact
	@FIRN_BIN=$(CURDIR)/build/release/bin/firn bash examples/demo.sh

demo-write-path: setup all ## the life of a write, step by step
	@FIRN_BIN=$(CURDIR)/build/release/bin/firn bash examples/demo-write-path.sh

# Both builds come first and the sanitized tests of everything last, so that the output ends with
# the summary of the test runner.
test: setup ## all tests under ASan and UBSan, the concurrent ones also under TSan, memory in a release build
	@$(BUILD) release
	@$(BUILD) tsan concurrency_tests
	@$(BUILD) asan
	@$(CTEST) --preset release
	@tools/without_aslr.sh $(CTEST) --preset tsan -R 'concurren|tsan'
	@$(CTEST) --preset asan

check: setup ## everything that is checked without running tests
	@tools/check.sh -j $(JOBS)

asan: setup ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(BUILD) asan
	@$(CTEST) --preset asan

tsan: setup ## the tests under ThreadSanitizer (scripts and examples too)
	@$(BUILD) tsan
	@tools/without_aslr.sh $(CTEST) --preset tsan

valgrind: ## the tests under valgrind, with fewer operations each
	@tools/setup.sh valgrind
	@$(BUILD) valgrind
	@$(CTEST) --preset valgrind

coverage: ## the tests with line coverage; report in build/coverage/report
	@tools/setup.sh coverage
	@$(BUILD) coverage
	@$(CTEST) --preset coverage
	@mkdir -p build/coverage/report
	@gcovr --root . --filter src/ --print-summary --html-details build/coverage/report/index.html \
	    build/coverage | tail -4

fuzz: ## fuzz every decoder, or one: make fuzz T=name SECONDS=60
	@tools/setup.sh fuzz
	@$(BUILD) fuzz fuzz_targets
	@tools/fuzz.sh $(SECONDS) $(T)

# A stopped run goes on with the same command; build/crash/state.json knows where.
crash: setup ## the deep crash sweep: make crash SEED=1 STATES=100000
	@$(BUILD) deep test_crash_quick_sweep
	@tools/crash.py --seed $(SEED) --states $(STATES) build/deep/tests/crash/quick_sweep_test

.PHONY: sim corrupt certify soak

sim: setup ## a simulated life with faults and crashes: make sim SEED=1 STEPS=4000000
	@$(BUILD) deep helper_sim_sim
	@build/deep/tests/sim/sim --seed $(SEED) --steps $(STEPS)

corrupt: setup ## damage every kind of file 20,000 times: read, verify, repair
	@$(BUILD) deep test_integration_crash_corruption test_integration_repair
	@tools/certify.py --without crash,sim,faults,mutants,fuzz --seed $(SEED) --output build/corrupt

certify: setup ## run everything that tries to break it; a JSON report in build/certify
	@tools/setup.sh fuzz
	@$(BUILD) deep
	@tools/certify.py --seed $(SEED) --states $(STATES) --steps $(STEPS) --fuzz-seconds $(SECONDS)

soak: setup ## the real system under steady load: memory, descriptors, latency stay flat; make soak HOURS=8
	@$(BUILD) deep helper_soak_soak
	@build/deep/tests/soak/soak --seconds $$(awk 'BEGIN { print $(HOURS) * 3600 }')

mutants: setup ## plant each known bug in a copy and see that the quick sweep catches it
	@tests/mutants/run.sh

explore: ## all interleavings of the lock-free parts, then random ones: PART= SECONDS=60 SEED=1
	@tests/explore/run.py --seconds $(SECONDS) --seed $(SEED) --jobs $(JOBS) $(PART)

bench: setup ## five minutes of Firn beside its peers
	@tools/setup.sh bench
	@bench/compare --tour

bench-read: setup ## the read path: memtable, cache, filters, memory pressure, scans
	@tools/setup.sh bench
	@bench/compare --set read-path

bench-write: setup ## the write path: puts, batches, threads, sync policies, recovery
	@tools/setup.sh bench
	@bench/compare --set write-path

bench-compaction: setup ## sustained load, stalls, amplification, queues, deleted ranges
	@tools/setup.sh bench
	@bench/compare --set compaction

bench-floors: setup ## each floor that was asked for, and what is reached
	@bench/compare --set floors

bench-goals: setup ## the table of goals, two key shapes; half an hour
	@tools/setup.sh bench
	@bench/compare --set goals

bench-tuning: setup ## what each option is worth: one changed at a time
	@bench/compare --set tuning

flame: setup ## flame graphs into build/flame; W=readrandom for one
	@tools/setup.sh flame
	@$(BUILD) release
	@bench/flame $(W)

guard: setup ## instructions, allocations and I/O calls of the hot paths against their ranges
	@tools/setup.sh valgrind
	@$(BUILD) release
	@bench/guard/guard.py

bench-full: setup ## the whole comparison: every workload, key shape, size; hours
	@tools/setup.sh bench
	@bench/compare --full

simulate: setup ## every strategy under whole workloads, without I/O: a table, and a plot over time
	@bench/simulate $(ARGS)

fmt: setup ## format all C files in place
	@tools/list_sources.sh | xargs -r clang-format -i

tidy-all: setup ## clang-tidy on every file, not only the changed ones
	@$(BUILD) --configure-only clang
	@tools/tidy.py --all -j $(JOBS)

docs: ## the API reference from the headers, into build/docs
	@tools/setup.sh docs
	@mkdir -p build/docs
	@FIRN_VERSION=$$(tools/version.sh) doxygen -q Doxyfile
	@echo "build/docs/html/index.html"

install: all ## install into PREFIX (default /usr/local); DESTDIR is obeyed
	@cmake --install build/release --prefix $(PREFIX)

amalgamation: ## the whole engine as build/amalgamation/firn.c and firn.h
	@tools/amalgamate.py build/amalgamation

clean: ## remove build/
	@rm -rf build
