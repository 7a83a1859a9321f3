# g4: five commands, one library.  No configure step; everything is built under $(B).
CC ?= cc
B ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
CFLAGS_ALL = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -fvisibility=hidden -fPIC \
	-fno-math-errno -ffp-contract=off -pthread -Ilib $(SAN_FLAGS)
LDLIBS_ALL = -ljq -larchive -lm -pthread
ifeq ($(SAN),1)
SAN_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

# Kernel files bring their own instruction-set flags and are chosen at run time.
ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
KERNEL_avx2 = -O3 -mavx2 -mfma -mf16c
KERNEL_avx512 = -O3 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512bf16 -mprefer-vector-width=512
KERNEL_neon = -O3 -march=armv8.2-a+dotprod+fp16
KERNELS_x86_64 = avx2 avx512
KERNELS_aarch64 = neon
KERNELS = $(KERNELS_$(ARCH))

DIRS = base weights text media device device/cpu model engine verb call grade record
SRC_ALL := $(wildcard $(DIRS:%=lib/%/*.c))
SRC := $(filter-out $(foreach k,avx2 avx512 neon,lib/device/cpu/$(k)%),$(SRC_ALL)) \
	$(foreach k,$(KERNELS),$(wildcard lib/device/cpu/$(k)*.c))
OBJ := $(SRC:%.c=$(B)/%.o)
CMD := $(patsubst cmd/g4-%.c,g4-%,$(wildcard cmd/g4-*.c))
CMD_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out cmd/g4-%.c,$(wildcard cmd/*.c)))
UNIT := $(patsubst tests/%.c,%,$(wildcard tests/unit/*.c tests/ops/*.c tests/vectors/*.c))

all: $(CMD:%=$(B)/%) $(B)/libg4.a
tests: all $(UNIT:%=$(B)/tests/%.t) $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/probe.c))

$(foreach k,avx2 avx512 neon,$(eval $(B)/lib/device/cpu/$(k)%.o: CFLAGS += $(KERNEL_$(k))))
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/libg4.a: $(OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(B)/g4-%: $(B)/cmd/g4-%.o $(CMD_OBJ) $(B)/libg4.a
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

$(B)/tests/%.t: $(B)/tests/%.o $(B)/libg4.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)
$(B)/tests/probe: $(B)/tests/probe.o $(B)/libg4.a
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS_ALL)

check: tests
	prove -j2 -r $(B)/tests tests/cli

clean:
	rm -rf $(B)

.PHONY: all tests check clean
.SECONDARY:
-include $(OBJ:.o=.d) $(wildcard $(B)/cmd/*.d $(B)/tests/*/*.d)
