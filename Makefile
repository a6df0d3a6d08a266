# hv: see `make help`. Everything that is built or fetched lies below build/.

ARCH    ?= x86
comma   := ,
B       := build$(if $(filter-out x86,$(ARCH)),/$(ARCH))$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter clang%,$(CC)),/clang)
# What this machine's tools are called when they build for another one.
CROSS_arm64 := aarch64-linux-gnu-
CC      := $(if $(filter default,$(origin CC)),$(CROSS_$(ARCH))gcc,$(CC))
AR      := $(if $(filter default,$(origin AR)),$(CROSS_$(ARCH))ar,$(AR))
V       ?= 0
Q       := $(if $(filter 0,$(V)),@)
WERROR  ?= 1
VERSION := 0.1.0

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
           $(if $(filter 1,$(WERROR)),-Werror)
CFLAGS  ?= -O2 -g
SMALL   := $(if $(filter -O2,$(CFLAGS)),-Os)
CFLAGS_ALL := -std=gnu11 $(CFLAGS) $(WARN) -I. -D_GNU_SOURCE -DHV_VERSION='"$(VERSION)"' \
           -fno-common -fstack-protector-strong -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
           -pthread -MMD -MP \
           $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
# Sections for data, too: what only another architecture's tables point at is dropped.
# A tenth of the binary would be relocations of constant tables; packed they are nothing.
LDFLAGS_ALL := $(LDFLAGS) -pthread -Wl,-O1,--gc-sections,--as-needed,-z,relro,-z,noexecstack \
           $(if $(filter x86,$(ARCH)),-Wl$(comma)-z$(comma)pack-relative-relocs) \
           $(if $(SAN),-fsanitize=$(SAN))
# Static: fewer pages touched and fewer files looked for when hv starts. All of it where hv is built for
# another machine, whose libraries need not be like those here.
STATIC  := -ljansson -luring -lfdt -lz
LIBS    := $(if $(CROSS_$(ARCH)),-static -Lbuild/cache/libfdt-$(ARCH)/usr/lib/aarch64-linux-gnu $(STATIC),-Wl$(comma)-Bstatic $(STATIC) -Wl$(comma)-Bdynamic)

SRC     := $(wildcard hv/*.c hv/command/*.c hv/loader/*.c hv/arch/$(ARCH)/*.c devices/*.c devices/core/*.c devices/virtio/*.c \
           devices/block/*.c devices/fs/*.c devices/net/*.c devices/pci/*.c firmware/*.c)
OBJ     := $(SRC:%.c=$(B)/obj/%.o)
OBJ     += $(B)/obj/firmware/init/image.o
# `hv test` is a program of its own, so that the monitor stays as small as it is.
SUITE   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard hv/suite/*.c))
LIB_OBJ := $(filter-out %/main.o,$(OBJ) $(SUITE))
TESTS   := $(patsubst %.c,$(B)/tests/%,$(wildcard devices/test/test_*.c hv/test/test_*.c \
           hv/arch/$(ARCH)/test/test_*.c firmware/test/test_*.c))
# What several tests share (fakes), linked into each of them.
TEST_SHARED := $(patsubst %.c,$(B)/obj/%.o,$(foreach f,$(wildcard */test/*.c),\
               $(if $(filter test_%,$(notdir $(f))),,$(f))))

.PHONY: all help
all: $(B)/hv $(B)/hv-test

include firmware/init/rules.mk
include guest-tests/rules.mk
include guest-tests/guests.mk
include guest-tests/arm64.mk
include scripts/rules.mk

help:
	@sed -n 's/^#: //p' Makefile guest-tests/rules.mk guest-tests/guests.mk guest-tests/arm64.mk scripts/rules.mk

# A change of flags or compiler rebuilds what depends on it.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CFLAGS_ALL) $(SMALL) $(LDFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(CFLAGS_ALL) $(SMALL) $(LDFLAGS_ALL)' > $@
FORCE:

# What runs once, or waits for the host's kernel, is compiled for size. What lies on the way of each
# exit and of each request of a ring is not.
FAST    := hv/exit% hv/vcpu.c hv/kvm.c hv/coalesce.c devices/uart16550.c devices/pl011.c devices/primecell.c \
           $(patsubst %,devices/core/%.c,bucket bus chardev gmem loop loop_poll) \
           $(patsubst %,devices/virtio/%.c,virtio queue% mmio pci blk% net net_hdr net_rx net_tx console_data) \
           $(patsubst %,devices/block/%.c,block iov step uring)
$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(filter $(FAST),$<),,$(SMALL)) -c -o $@ $<

#: make                 build/hv; needs no network once the packages are there
#: make ARCH=arm64      build/arm64/hv, static, by Debian's cross compiler (scripts/install-deps arm64)
$(B)/hv: $(OBJ) $(if $(CROSS_$(ARCH)),| build/cache/libfdt-$(ARCH)/fetched)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS)

$(B)/hv-test: $(B)/obj/hv/suite/main.o $(B)/libhv.a $(if $(CROSS_$(ARCH)),| build/cache/libfdt-$(ARCH)/fetched)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) -o $@ $^ $(LDFLAGS_ALL) $(LIBS) -linih

$(B)/libhv.a: $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# These of arm64 are plain C, and are tested wherever the tests run.
$(B)/tests/hv/test/test_arm64_walk: $(B)/obj/hv/arch/arm64/walk.o
$(B)/tests/hv/test/test_arm64_walk: TEST_SHARED += $(B)/obj/hv/arch/arm64/walk.o
$(B)/tests/hv/test/test_arm64_limits: $(B)/obj/hv/arch/arm64/limits.o
$(B)/tests/hv/test/test_arm64_limits: TEST_SHARED += $(B)/obj/hv/arch/arm64/limits.o

$(TESTS): $(B)/tests/%: $(B)/obj/%.o $(TEST_SHARED) $(B)/libhv.a
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) -o $@ $< $(TEST_SHARED) $(B)/libhv.a $(LDFLAGS_ALL) $(LIBS) -linih -lcheck -lsubunit -lrt -lm

-include $(B)/obj/hv/arch/arm64/walk.d $(B)/obj/hv/arch/arm64/limits.d $(OBJ:.o=.d) $(SUITE:.o=.d) $(TESTS:$(B)/tests/%=$(B)/obj/%.d) $(TEST_SHARED:.o=.d)
