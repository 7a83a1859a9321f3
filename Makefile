# g4: Gemma models as Unix filters.  No configure step; all that is built lies under $(B).
#
#   make demo    install what is missing, build, run the small model that ships with g4
#   make check   the same for the tests          make check-full   every count, sanitizers
#   make bench   speed (LLAMA_BENCH=path: side by side with the peer)
#   make install PREFIX=/usr/local DESTDIR=      SAN=1: ASan and UBSan, in build-san/

# ---- settings a caller may change ------------------------------------------
CC ?= cc
OBJCOPY ?= objcopy
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
ifeq ($(SAN),1)
B ?= build-san
SAN_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_KERNEL = -O1 # kernels under sanitizers: half a minute each instead of ten
else
B ?= build
SO_FLAGS = -Wl,-z,defs
endif
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

VERSION := $(shell sed -n 's/^.define G4_VERSION "\(.*\)"/\1/p' lib/g4.h)
SONAME = libg4.so.0

# What the code needs, whatever CFLAGS says.  Floating point stays as written: results are compared bit for bit.
CFLAGS_ALL = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -fvisibility=hidden -fPIC \
	-ffunction-sections -fdata-sections -fno-math-errno -ffp-contract=off -pthread -Ilib -I. $(SAN_FLAGS)
LDFLAGS_ALL = $(SAN_FLAGS) -pthread -Wl,--gc-sections -Wl,--as-needed
LIBS = -lm -pthread
LIBS_TOOL = -ljq -larchive $(LIBS)
LIBS_HUB = -lcurl -lcrypto -lz

# ---- sources -----------------------------------------------------------------
# Kernel files bring their own instruction-set flags and are chosen at run time.
ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
KERNEL_avx2 = -O3 -mavx2 -mfma -mf16c
KERNEL_avx512 = -O3 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx512vnni -mprefer-vector-width=512
KERNEL_neon = -O3 -march=armv8.2-a+dotprod+fp16
KERNELS_x86_64 = avx2 avx512
KERNELS_aarch64 = neon
KERNELS_ALL = avx2 avx512 neon
KERNELS = $(KERNELS_$(ARCH))

# The library proper, and above it what only the commands link: records, calls, grading and the user's jq programs.
LIB_DIRS = base weights text media device device/cpu device/vulkan model engine verb
TOOL_DIRS = call grade record
OTHER = $(foreach k,$(filter-out $(KERNELS),$(KERNELS_ALL)),lib/device/cpu/$(k)% lib/base/quantize_$(k)%)
# Of lib/base only the commands need these.
TOOL_BASE = lib/base/jq.c lib/base/proc.c lib/base/sandbox.c
LIB_SRC := $(filter-out $(TOOL_BASE) $(OTHER),$(wildcard $(LIB_DIRS:%=lib/%/*.c)))
TOOL_SRC := $(wildcard $(TOOL_BASE) $(TOOL_DIRS:%=lib/%/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o) $(B)/shaders/table.o
TOOL_OBJ := $(TOOL_SRC:%.c=$(B)/%.o)
# Shaders become SPIR-V and then one table in the library.  shaders/variants lists what is built from one source with
# other flags; SPIR-V that Debian's compiler cannot make lies in shaders/spirv.
VARIANTS := $(shell awk '/^[a-z]/ { print $$1 }' shaders/variants)
VARIED := $(shell awk '/^[a-z]/ { print $$2 }' shaders/variants)
SHADERS := $(sort $(VARIANTS) $(filter-out $(VARIED),$(patsubst shaders/%.comp,%,$(wildcard shaders/*.comp))))
MADE_SPIRV := $(patsubst shaders/spirv/%.spv,%,$(wildcard shaders/spirv/*.spv))
GLSLANG ?= glslangValidator
CMD := $(patsubst cmd/%.c,%,$(wildcard cmd/g4-*.c))
HUB_SRC := $(wildcard lib/hub/*.c)
HUB_OBJ := $(HUB_SRC:%.c=$(B)/%.o)
# cmd/pull_*.c belongs to g4-pull alone, and needs the hub; cmd/chat*.c to g4-gen, and needs readline; the other
# helpers are anybody's.
PULL_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard cmd/pull_*.c))
CHAT_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard cmd/chat*.c))
CMD_OBJ := $(filter-out $(CHAT_OBJ),$(patsubst %.c,$(B)/%.o,$(filter-out cmd/g4-%.c cmd/pull_%.c,$(wildcard cmd/*.c))))
TEST_T := $(patsubst %.c,$(B)/%.t,$(wildcard tests/unit/*.c tests/ops/*.c tests/vectors/*.c tests/fuzz/*.c))
TEST_BIN := $(patsubst %.c,$(B)/%,$(wildcard tests/probe.c tests/bench/*.c))
# Test files kept compressed; unpacked under $(B)/data.
DATA := $(patsubst tests/data/%.gz,$(B)/data/%,$(wildcard tests/data/*/*/*.gz))
TEST_SO := $(patsubst %.c,$(B)/%.so,$(wildcard tests/fault/*.c))

# ---- building ------------------------------------------------------------------
all: $(CMD:%=$(B)/%) $(B)/libg4.a $(B)/libg4.so
tests: all $(TEST_T) $(TEST_BIN) $(TEST_SO) $(DATA)

$(foreach k,$(KERNELS),$(eval $(B)/lib/device/cpu/$(k)% $(B)/lib/base/quantize_$(k)%: KERNEL_FLAGS = $(KERNEL_$(k))))
$(B)/lib/device/cpu/ref.o $(B)/lib/device/cpu/ref_attend.o $(B)/lib/device/cpu/ref_moe.o: KERNEL_FLAGS = -O3
$(B)/lib/device/vulkan/pack.o: KERNEL_FLAGS = -O3
$(B)/lib/base/quantize_base.o: KERNEL_FLAGS = -O3 -Wno-psabi # vectors wider than the base set's stay within the file
$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_ALL) $(KERNEL_FLAGS) $(if $(KERNEL_FLAGS),$(SAN_KERNEL)) -MMD -MP -c -o $@ $<

# Each shader's words as a C array, and the table of them all.
$(SHADERS:%=$(B)/shaders/%.spv): $(B)/shaders/%.spv: shaders/variants
	@mkdir -p $(@D)
	@line=$$(awk '$$1 == "$*"' shaders/variants); set -- $${line:-$* $*}; shift; src=shaders/$$1.comp; shift; \
	$(GLSLANG) --quiet -V --target-env vulkan1.2 -I. "$$@" --depfile $(@:.spv=.d) -o $@ $$src
$(B)/shaders/table.c: $(SHADERS:%=$(B)/shaders/%.spv) $(MADE_SPIRV:%=shaders/spirv/%.spv) $(wildcard shaders/*.comp)
	@{ echo '#include "device/vulkan/shader.h"'; \
	for f in $(filter %.spv,$^); do n=$${f##*/}; n=$${n%.spv}; echo "static const uint32_t $$n[] = {"; \
		od -An -v -tx4 $$f | sed 's/\([0-9a-f]\{8\}\) */0x\1,/g'; echo '};'; done; \
	echo 'const struct g4_vk_shader g4_vk_shaders[] = {'; \
	for f in $(filter %.spv,$^); do n=$${f##*/}; n=$${n%.spv}; echo "{ \"$$n\", $$n, sizeof $$n },"; done; \
	echo '{ 0, 0, 0 } };'; } >$@
$(B)/shaders/table.o: $(B)/shaders/table.c
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(DATA): $(B)/data/%: tests/data/%.gz
	@mkdir -p $(@D)
	gzip -dc $< >$@

# Changed flags rebuild everything: objects with and without a sanitizer never meet in one program.
FLAGS = $(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_ALL) $(foreach k,$(KERNELS),$(KERNEL_$(k)))
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

# For the commands and the tests: every symbol.
$(B)/libg4-tool.a: $(LIB_OBJ) $(TOOL_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^
# What uses the network: linked into g4-pull and its tests alone.
$(B)/libg4-hub.a: $(HUB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^
# To install: one object in which only what g4.h marks G4_API is global.
$(B)/libg4.o: $(LIB_OBJ)
	$(CC) -r -nostdlib -o $@ $^
	$(OBJCOPY) --localize-hidden $@
$(B)/libg4.a: $(B)/libg4.o
	@rm -f $@
	$(AR) rcs $@ $<
$(B)/$(SONAME): $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS_ALL) $(SO_FLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LIBS)
$(B)/libg4.so: $(B)/$(SONAME)
	ln -sf $(SONAME) $@

LINK = $(CC) $(CFLAGS) $(LDFLAGS_ALL) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %hub.a,$^) $(filter %tool.a,$^) $(LIBS_OWN) $(LIBS_TOOL)
HUB_USERS = $(B)/g4-pull $(filter $(B)/tests/unit/hub%,$(TEST_T))
$(HUB_USERS): $(B)/libg4-hub.a
$(HUB_USERS): LIBS_OWN = $(LIBS_HUB)
$(B)/g4-pull: $(PULL_OBJ)
$(CMD:%=$(B)/%): $(B)/%: $(B)/cmd/%.o $(CMD_OBJ) $(B)/libg4-tool.a
	$(LINK)
$(B)/g4-gen: $(CHAT_OBJ)
$(B)/g4-gen: LIBS_TOOL += -lreadline
$(TEST_T): %.t: %.o $(B)/libg4-tool.a
	$(LINK)
$(B)/tests/probe: $(patsubst %.c,$(B)/%.o,$(wildcard tests/probe_*.c))
$(TEST_BIN): %: %.o $(B)/libg4-tool.a
	$(LINK)
$(TEST_SO): $(B)/%.so: %.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -fPIC -shared -MMD -MP -o $@ $< -ldl

# The op tests alone, without the libraries that jq and archives need: what an emulated processor can run.
OPS_OBJ = $(filter $(B)/lib/base/% $(B)/lib/device/% $(B)/shaders/%,$(LIB_OBJ))
OPS_T := $(patsubst %.c,$(B)/%.static,$(wildcard tests/ops/*.c))
$(OPS_T): %.static: %.o $(OPS_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS_ALL) $(LDFLAGS) -static -o $@ $^ $(LIBS)
ops-static: $(OPS_T)

# ---- testing ---------------------------------------------------------------------
# Tests find what was built under $G4_BUILD.  Each prints TAP; the last line counts them all.
export G4_BUILD = $(B)
PROVE = PERL5LIB=tests prove -j$(JOBS) --formatter=Tally
SHELL_T = $(wildcard tests/*.t tests/*/*.t)

deps:
	@tests/setup check
check: deps
	@$(MAKE) --no-print-directory -j$(JOBS) tests
	@tests/fetch-weights || true
	@tests/fetch-tokenizer || true
	@tests/fetch-mcp || true
	$(PROVE) $(SHELL_T) $(TEST_T)
check-full:
	@tests/setup full
	$(MAKE) --no-print-directory check G4_TEST_FULL=1
	$(MAKE) --no-print-directory check SAN=1
	$(MAKE) --no-print-directory check-arm
check-arm: # the op tests on aarch64, emulated
	@tests/setup arm
	@mkdir -p build-arm/include && ln -sfn /usr/include/vulkan /usr/include/vk_video build-arm/include
	$(MAKE) --no-print-directory CC=aarch64-linux-gnu-gcc CPPFLAGS=-Ibuild-arm/include B=build-arm ops-static
	$(PROVE) --exec qemu-aarch64-static build-arm/tests/ops/*.static
bench:
	@tests/setup build
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TEST_BIN)
	@tests/fetch-weights || true
	tests/bench/run
bench-gpu: # the same for a GPU: its limits, the models' shapes, start-up (BENCH_GPU=vulkan:NAME)
	@tests/setup build
	@$(MAKE) --no-print-directory -j$(JOBS) all $(TEST_BIN)
	tests/bench/run-gpu
demo:
	@tests/setup demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@examples/demo.sh
lint:
	@! mandoc -T lint man/*.[157] 2>/dev/null | grep -v 'referenced manual not found'
	tests/longest $(wildcard cmd/*.[ch]) $(LIB_SRC) $(TOOL_SRC) $(HUB_SRC)

# ---- installing ---------------------------------------------------------------------
INSTALL = install -D
install: all
	for c in $(CMD); do \
		$(INSTALL) $(B)/$$c $(DESTDIR)$(BINDIR)/$$c && \
		$(INSTALL) -m 644 completions/g4.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/$$c && \
		$(INSTALL) -m 644 completions/g4.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/$$c.fish || exit 1; \
	done
	$(INSTALL) -m 644 completions/_g4 $(DESTDIR)$(DATADIR)/zsh/site-functions/_g4
	for m in $(wildcard man/*.[157]); do \
		$(INSTALL) -m 644 $$m $(DESTDIR)$(DATADIR)/man/man$${m##*.}/$${m##*/} || exit 1; \
	done
	$(INSTALL) -m 644 examples/nano/g4-nano.gguf $(DESTDIR)$(DATADIR)/g4/g4-nano.gguf
	$(INSTALL) -m 644 lib/g4.h $(DESTDIR)$(INCLUDEDIR)/g4.h
	$(INSTALL) -m 644 $(B)/libg4.a $(DESTDIR)$(LIBDIR)/libg4.a
	$(INSTALL) $(B)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libg4.so
	mkdir -p $(DESTDIR)$(LIBDIR)/pkgconfig
	printf '%s\n' 'Name: g4' 'Description: Gemma models in a C program' 'Version: $(VERSION)' \
		'Cflags: -I$(INCLUDEDIR)' 'Libs: -L$(LIBDIR) -lg4' 'Libs.private: $(LIBS)' \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/g4.pc
uninstall:
	for c in $(CMD); do rm -f $(DESTDIR)$(BINDIR)/$$c $(DESTDIR)$(DATADIR)/bash-completion/completions/$$c \
		$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/$$c.fish; done
	for m in $(wildcard man/*.[157]); do rm -f $(DESTDIR)$(DATADIR)/man/man$${m##*.}/$${m##*/}; done
	rm -f $(DESTDIR)$(DATADIR)/g4/g4-nano.gguf $(DESTDIR)$(DATADIR)/zsh/site-functions/_g4 $(DESTDIR)$(INCLUDEDIR)/g4.h $(DESTDIR)$(LIBDIR)/libg4.a \
		$(DESTDIR)$(LIBDIR)/libg4.so $(DESTDIR)$(LIBDIR)/$(SONAME) $(DESTDIR)$(LIBDIR)/pkgconfig/g4.pc
clean:
	rm -rf build build-san build-arm

.PHONY: all tests ops-static deps check check-full check-arm bench bench-gpu demo lint install uninstall clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:
-include $(SHADERS:%=$(B)/shaders/%.d) $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(HUB_OBJ:.o=.d) $(PULL_OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(CHAT_OBJ:.o=.d) $(CMD:%=$(B)/cmd/%.d) $(TEST_T:.t=.d) $(TEST_BIN:=.d) $(TEST_SO:.so=.d)
