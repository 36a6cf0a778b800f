# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The front door. Each target first installs what this machine lacks of packaging/build-depends.
#
#   make            build everything below build/
#   make demo       boot real QEMU guests that fail, and watch tocsin see, decide and record
#   make run        the daemon in the foreground on the shipped configuration, state below build/run/
#   make check      all tests; T="words" runs those whose program's name contains one of them
#   make bench      the figures, each beside its floor or peer
#   make install    DESTDIR= and PREFIX= as usual
#   make sanitize   all tests under the address and undefined behaviour sanitizers
#   make fuzz       each fuzz target for MINUTES=1; T=name for one
#   make format     clang-format over the tree
#   make clean

BUILD = build
PREFIX = /usr
MINUTES = 1
T =

# The system's Python and tools, whatever else this user has in front of them.
export PATH := /usr/sbin:/usr/bin:/sbin:/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE = 1

DEPENDS = @packaging/install-depends

build: depends-build $(BUILD)/build.ninja
	@ninja -C $(BUILD)

check: depends-check build
	@tests/run --build $(BUILD) $(T)

demo: depends-check build
	@tests/demo/demo --build $(BUILD)

bench: depends-check build
	@tests/bench/bench --build $(BUILD) $(T)

run: build
	@mkdir -p $(BUILD)/run
	@sed -e 's|^#* *runtime-dir *=.*|runtime-dir = $(abspath $(BUILD))/run|' \
	     -e 's|^#* *state-dir *=.*|state-dir = $(abspath $(BUILD))/run/state|' \
	     conf/tocsin.conf > $(BUILD)/run/tocsin.conf
	@echo "tocsind with $(BUILD)/run/tocsin.conf; in another terminal:"
	@echo "    $(BUILD)/daemon/ctl/tocsinctl --socket $(BUILD)/run/control.sock status"
	@exec $(BUILD)/daemon/tocsind --config $(BUILD)/run/tocsin.conf

install: build
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@meson install -C $(BUILD) $(if $(DESTDIR),--destdir=$(abspath $(DESTDIR)))

sanitize: depends-check build-sanitize/build.ninja
	@ninja -C build-sanitize
	@tests/run --build build-sanitize $(T)

fuzz: depends-fuzz build-fuzz/build.ninja
	@ninja -C build-fuzz fuzz-targets
	@tests/fuzz/fuzz --build build-fuzz --minutes $(MINUTES) $(T)

format: depends-check
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	rm -rf $(BUILD) build-sanitize build-fuzz

$(BUILD)/build.ninja: | depends-build
	@meson setup --prefix=$(PREFIX) $(BUILD)

build-sanitize/build.ninja: build-dev.ini | depends-build
	@meson setup $(if $(wildcard build-sanitize/build.ninja),--wipe) --native-file build-dev.ini build-sanitize

build-fuzz/build.ninja: | depends-fuzz
	@CC=clang meson setup -Dfuzz=true -Dbuildtype=debugoptimized -Db_lundef=false \
		-Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link build-fuzz

depends-build:
	$(DEPENDS) build

depends-check:
	$(DEPENDS) build check

depends-fuzz:
	$(DEPENDS) build fuzz

.NOTPARALLEL:

.PHONY: build check demo bench run install sanitize fuzz format clean \
	depends-build depends-check depends-fuzz
