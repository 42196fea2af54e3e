# rustyray.h - GNU make. Everything that is built goes to build/, a folder per compiler and flavour.
#   CC=clang          the compiler (of demo, examples and test; check uses gcc and clang)
#   CFLAGS='-O3'      flags added to those below; V=1 shows the commands
#   FILES='a b'       what `make demo` counts; SECONDS=n how long `make soak` takes
#   PREFIX, DESTDIR   where `make install` goes

ifeq ($(origin CC),default)
CC := $(if $(shell command -v gcc),gcc,cc)
endif
PREFIX ?= /usr/local
FILES ?= . $(wildcard /usr/share/common-licenses)
FLAVOUR ?= plain
VERSION = $(shell sed -n 's/^.. \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)

MAKEFLAGS += --no-print-directory
NPROC := $(shell nproc 2>/dev/null || echo 2)
PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(NPROC))
HERE = $(notdir $(firstword $(CC)))

WARNINGS = -std=c11 -Wall -Wextra -Wpedantic
FLAGS_plain = -O2 -g
# Without optimisation the sanitizers see every access, and building takes a third or less.
FLAGS_asan = -O0 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
# to ThreadSanitizer each stack is a thread: examples/16_async_actor makes fewer
FLAGS_tsan = -O0 -g -fno-omit-frame-pointer -fsanitize=thread -DSUBSCRIBERS=200
FLAVOURS = gcc-plain clang-plain gcc-asan clang-asan gcc-tsan clang-tsan

DEMO_PACKAGES = gcc libstb-dev pkg-config
TEST_PACKAGES = $(DEMO_PACKAGES) clang musl-tools tcc g++ binutils
CHECK_PACKAGES = $(TEST_PACKAGES) clang-sanitizers
BENCH_PACKAGES = $(DEMO_PACKAGES) python3 gnuplot-nox
PEER_PACKAGES = g++ clang libomp-dev libtbb-dev erlang-base libcaf-dev python3-venv \
    $(if $(shell command -v go),,golang-go)

names = $(basename $(notdir $(wildcard $(1))))
STRESS_NAMES := $(call names,tests/stress_*.c)
TEST_NAMES := $(call names,tests/test_*.c)
EXAMPLE_NAMES := $(filter-out %_lib,$(call names,examples/[0-9]*.c))
SCRIPTS := $(sort $(wildcard tests/compile/*.sh))
PARTS := $(wildcard src/*.h src/*/*.h)
PROGRAMS = $(STRESS_NAMES) $(TEST_NAMES) $(EXAMPLE_NAMES) readme
CONTRACT_NAMES = 01 02 03 04 05 06 07 08 09 15

.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: help demo examples test check header parts windows soak install uninstall deps format clean programs \
    all-examples FORCE setup-demo setup-test setup-check bench bench-quick bench-guard \
    bench-programs bench-quick-programs

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@sed -n 's/^#   /  /p' Makefile

demo: setup-demo ## counts words of FILES as tasks and serially, and compares (a file or folder each)
	@$(MAKE) -s $(PARALLEL) OUT=build/$(HERE)-demo build/$(HERE)-demo/demo
	@build/$(HERE)-demo/demo $(FILES)

examples: setup-demo ## builds the examples
	@$(MAKE) $(PARALLEL) OUT=build/$(HERE)-demo all-examples
	@echo "the examples are in build/$(HERE)-demo/"

test: setup-test header ## builds and runs the tests, the compile checks and the examples
	@$(MAKE) $(PARALLEL) -k programs FLAVOUR=plain || true
	@tests/run.sh $(SCRIPTS) $(PROGRAMS:%=build/$(HERE)-plain/%)

check: setup-check header ## the same with gcc and clang, under the sanitizers, and longer stress
	@$(MAKE) $(PARALLEL) -k $(FLAVOURS:%=programs-%) || true
	@TIMEOUT=600 $(SANITIZER_OPTIONS) tests/run.sh $(LONG_JOBS) $(CONTRACT_JOBS) \
	    $(foreach flavour,$(FLAVOURS),$(PROGRAMS:%=build/$(flavour)/%))

header: ## makes rustyray.h from src/
	@mkdir -p build && src/header.sh src > build/rustyray.h
	@cmp -s build/rustyray.h rustyray.h || { cp build/rustyray.h rustyray.h; echo "made rustyray.h"; }
	@rm build/rustyray.h

parts: setup-test ## compiles each part of src/ alone, and checks that nothing goes upward
	@tests/compile/parts.sh

windows: header ## builds the examples and many tests with MinGW and runs them with wine
	@tests/setup.sh $(DEMO_PACKAGES) gcc-mingw-w64-x86-64 wine wine64
	@tests/windows.sh

soak: setup-test header ## works on ten times what the store has room for, ten minutes (SECONDS=n)
	@$(MAKE) $(PARALLEL) FLAVOUR=plain build/$(HERE)-plain/soak_store
	@build/$(HERE)-plain/soak_store $(SECONDS)

bench: ## runs the benchmarks and the same work with other libraries; writes bench/README.md
	@tests/setup.sh $(BENCH_PACKAGES)
	@for name in $(PEER_PACKAGES); do tests/setup.sh $$name || echo "going on without" >&2; done
	@$(RAY) -c 'import ray' 2>/dev/null || \
	    { python3 -m venv build/venv && timeout 600 $(RAY) -m pip install -q ray; } || \
	    echo "going on without Ray" >&2
	@$(MAKE) $(PARALLEL) -k bench-programs || true
	@python3 bench/run.py

bench-quick: ## the same in two minutes, with the peers that are there; writes to build/ only
	@tests/setup.sh $(DEMO_PACKAGES) python3
	@$(MAKE) $(PARALLEL) -k bench-quick-programs || true
	@python3 bench/run.py quick

bench-guard: ## counts the instructions of the main paths against bench/guard.txt (UPDATE=1 writes it)
	@tests/setup.sh $(DEMO_PACKAGES) valgrind
	@$(MAKE) build/bench/paths
	@bench/guard/guard.sh build/bench/paths $(UPDATE)

install: ## copies the header and rustyray.pc to PREFIX
	install -d "$(DESTDIR)$(PREFIX)/include" "$(DESTDIR)$(PREFIX)/share/pkgconfig"
	install -m 644 rustyray.h "$(DESTDIR)$(PREFIX)/include/rustyray.h"
	@printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' '' 'Name: rustyray' \
	    "Description: Ray Core's model for C: remote functions, references, objects, actors" \
	    'Version: $(VERSION)' 'Cflags: -I$${includedir} $(strip $(STB_KNOWN)) -pthread' 'Libs: -pthread' \
	    > "$(DESTDIR)$(PREFIX)/share/pkgconfig/rustyray.pc"

uninstall: ## removes what install copied
	rm -f "$(DESTDIR)$(PREFIX)/include/rustyray.h" \
	    "$(DESTDIR)$(PREFIX)/share/pkgconfig/rustyray.pc"

deps: ## installs all that test, check and format need (apt-get)
	@tests/setup.sh $(CHECK_PACKAGES) clang-format

format: ## clang-format on all sources
	@tests/setup.sh clang-format
	clang-format -i $(wildcard src/*/*.h examples/*.c tests/*.[ch] tests/*/*.[ch] bench/*.[ch] \
	    bench/*/*.[ch] bench/*/*.cpp)

clean: ## removes build/
	rm -rf build

setup-demo:
	@tests/setup.sh $(DEMO_PACKAGES)
setup-test:
	@tests/setup.sh $(TEST_PACKAGES)
setup-check:
	@tests/setup.sh $(CHECK_PACKAGES)

# What follows runs in a make of its own, when the packages are there. OUT is the folder.

OUT = build/$(HERE)-$(FLAVOUR)
STB_KNOWN = $(shell pkg-config --cflags stb 2>/dev/null)
STB = $(or $(STB_KNOWN),-I/usr/include/stb)
STRICT = $(if $(filter %-demo,$(OUT)),,-Werror)
COMPILE = $(CC) $(WARNINGS) $(STRICT) $(FLAGS_$(FLAVOUR)) $(CFLAGS) -I. $(STB)
LIBRARIES = $(LDFLAGS) -rdynamic -pthread -ldl -lm
SAY = @echo "building $@"; $(if $(V),set -x;)
HEADERS := rustyray.h $(wildcard tests/*.h)
EXAMPLE_FLAGS = -ffp-contract=off

programs: $(PROGRAMS:%=$(OUT)/%)
	@:
all-examples: $(EXAMPLE_NAMES:%=$(OUT)/%) $(OUT)/demo
	@:
programs-%:
	@$(MAKE) programs CC=$(word 1,$(subst -, ,$*)) FLAVOUR=$(word 2,$(subst -, ,$*))

# Written anew only if the command has changed; everything built by it depends on it.
$(OUT)/command: FORCE
	@mkdir -p $(OUT)
	@echo '$(COMPILE) $(LIBRARIES)' | cmp -s - $@ || echo '$(COMPILE) $(LIBRARIES)' > $@

$(OUT)/%: tests/%.c $(HEADERS) $(OUT)/command
	$(SAY) $(COMPILE) $< -o $@ $(LIBRARIES)
$(OUT)/%: examples/%.c rustyray.h $(OUT)/command
	$(SAY) $(COMPILE) $(EXAMPLE_FLAGS) $< -o $@ $(LIBRARIES)
$(OUT)/10_plugin: examples/10_plugin.c $(OUT)/10_plugin_lib.so rustyray.h $(OUT)/command
	$(SAY) $(COMPILE) $< -o $@ $(LIBRARIES)
$(OUT)/%.so: examples/%.c rustyray.h $(OUT)/command
	$(SAY) $(COMPILE) -shared -fPIC $< -o $@
$(OUT)/readme.c: README.md $(OUT)/command
	@awk '/^```c$$/ { inside = 1; next } /^```$$/ { if (inside) exit } inside' README.md > $@
$(OUT)/readme: $(OUT)/readme.c rustyray.h
	$(SAY) $(COMPILE) $< -o $@ $(LIBRARIES)

# The benchmarks, with GCC (BENCH_CC), and the same work with others; what does not build is left out.
# work.o is the same for all of them: libraries are compared, not compilers, nor where a linker puts
# an inner loop: without the alignment that is worth a factor of 2.
BENCH_CC = gcc
BENCH_NAMES := $(call names,bench/*.c)
PEER_NAMES = tbb libgomp libomp pool async caf go workloads.beam
QUICK_NAMES = limits w1_spawn w2_fib w3_chain w4_wavefront w6_actors store tbb libgomp go
BENCH_COMPILE = $(BENCH_CC) -std=gnu11 -Wall -Wextra -O2 -g $(CFLAGS) -I. $(STB)
PEER_COMPILE = g++ -std=c++17 -Wall -Wextra -O2
PEER_HEADERS = bench/peers/peer.h bench/bench.h bench/work.h
BENCH_SAY = @mkdir -p build/bench; echo "building $@"; $(if $(V),set -x;)
RAY = build/venv/bin/python

bench-programs: $(BENCH_NAMES:%=build/bench/%) $(PEER_NAMES:%=build/bench/%)
	@:
bench-quick-programs: $(QUICK_NAMES:%=build/bench/%)
	@:
build/bench/paths: bench/guard/paths.c rustyray.h
	$(BENCH_SAY) $(BENCH_COMPILE) $< -o $@ $(LIBRARIES)
build/bench/work.o: bench/work.h
	$(BENCH_SAY) $(BENCH_COMPILE) -O3 -falign-functions=64 -DWORK_IMPLEMENTATION -x c \
	    -c $< -o $@
$(BENCH_NAMES:%=build/bench/%): build/bench/%: bench/%.c bench/bench.h rustyray.h build/bench/work.o
	$(BENCH_SAY) $(BENCH_COMPILE) $< build/bench/work.o -o $@ $(LIBRARIES)
build/bench/libgomp: bench/peers/openmp.cpp $(PEER_HEADERS) build/bench/work.o
	$(BENCH_SAY) $(PEER_COMPILE) -fopenmp $< build/bench/work.o -o $@
build/bench/libomp: bench/peers/openmp.cpp $(PEER_HEADERS) build/bench/work.o
	$(BENCH_SAY) clang++ -std=c++17 -O2 -fopenmp $< build/bench/work.o -o $@
build/bench/async: bench/peers/pool.cpp $(PEER_HEADERS) build/bench/work.o
	$(BENCH_SAY) $(PEER_COMPILE) -DUSE_ASYNC $< build/bench/work.o -o $@ -pthread
build/bench/pool: bench/peers/pool.cpp $(PEER_HEADERS) build/bench/work.o
	$(BENCH_SAY) $(PEER_COMPILE) $< build/bench/work.o -o $@ -pthread
build/bench/tbb: bench/peers/tbb.cpp $(PEER_HEADERS) build/bench/work.o
	$(BENCH_SAY) $(PEER_COMPILE) $< build/bench/work.o -o $@ -ltbb -pthread
build/bench/caf: bench/peers/caf.cpp bench/bench.h
	$(BENCH_SAY) g++ -std=c++17 -O2 -w $< -o $@ -lcaf_core -pthread
build/bench/go: $(wildcard bench/peers/go/*)
	$(BENCH_SAY) cd bench/peers/go && GOCACHE="$(CURDIR)/build/go-cache" go build -o ../../../$@ .
build/bench/workloads.beam: bench/peers/workloads.erl
	$(BENCH_SAY) erlc -o build/bench $<

# What only check runs: the stress programs for longer, and, where the environment variable
# CONTRACT names a folder with a `run` script, the programs of it that this version promises.
SANITIZER_OPTIONS = ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 \
    UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=second_deadlock_stack=1
LONG_JOBS = $(foreach flavour,gcc-plain gcc-asan gcc-tsan,$(foreach name,$(STRESS_NAMES),\
    "$(flavour)/$(name) (long): STRESS=long build/$(flavour)/$(name)"))
CONTRACT_JOBS = $(if $(and $(CONTRACT),$(wildcard $(CONTRACT)/run)),$(foreach flavour,$(FLAVOURS),\
    "$(flavour)/contract: CC=$(word 1,$(subst -, ,$(flavour))) \
    CFLAGS='$(FLAGS_$(word 2,$(subst -, ,$(flavour))))' $(CONTRACT)/run $(CONTRACT_NAMES)"))
