# Guest images and the testbed of arm64, made on any machine. Included by the Makefile.

ARM_GUEST := build/guest/arm64
ARM_BED   := build/testbed/arm64
ARM_CC    := aarch64-linux-gnu-gcc
ARM_STRIP := aarch64-linux-gnu-strip
ARM_BUSYBOX := build/cache/busybox-arm64/bin/busybox
ARM_CLOUD := build/cache/linux-cloud-arm64
ARM_STANDARD := build/cache/linux-arm64

.PHONY: guests-arm64 testbed-arm64 deps-arm64

#: make guests-arm64    the same guest images of arm64, in build/guest/arm64
guests-arm64: $(addprefix $(ARM_GUEST)/,vmlinuz initrd.cpio initrd-virtio.cpio root.img modules/modules.dep \
              standard/vmlinuz standard/modules/modules.dep)

#: make testbed-arm64   prepare the arm64 box (guest-tests/testbed/run --arch arm64)
testbed-arm64: $(addprefix $(ARM_BED)/,vmlinuz initrd.cpio) $(BED)/link build/cache/passt-arm64/bin/passt

deps-arm64:
	@scripts/install-deps test arm64

$(ARM_CLOUD)/vmlinuz $(ARM_STANDARD)/vmlinuz: | deps-arm64
$(ARM_BUSYBOX): build/cache/busybox-arm64/fetched ;
# The package of libfdt-dev for arm64 cannot be installed beside that of this machine.
build/cache/busybox-arm64/fetched build/cache/libfdt-arm64/fetched: | deps-arm64
	@echo "  FETCH $(@D)"
	$(Q)$(IMAGES)/fetch-package $(if $(findstring busybox,$@),busybox-static,libfdt-dev):arm64 $(@D)

# What guest-tests/bench puts beside hv: Debian's QEMU of arm64 with all that it is linked with, for the box has no
# libraries.
ARM_PEER := build/cache/qemu-arm64/fetched
ARM_PEER_PACKAGES := qemu-system-arm zlib1g $(addprefix lib,aio1 blkid1 bpf1 c6 capstone4 daxctl1 elf1 fdt1 ffi8 \
    fuse3-3 gcc-s1 glib2.0-0 gmp10 gnutls30 hogweed6 ibverbs1 idn2-0 jpeg62-turbo kmod2 lzma5 mount1 ndctl6 nettle8 \
    nl-3-200 nl-route-3-200 numa1 p11-kit0 pcre2-8-0 pixman-1-0 pmem1 png16-16 rdmacm1 sasl2-2 seccomp2 selinux1 \
    slirp0 ssl3 tasn1-6 udev1 unistring2 uring2 uuid1 vdeplug2 zstd1)
$(ARM_PEER): | deps-arm64
	@echo "  FETCH $(@D)"
	$(Q)$(IMAGES)/fetch-package $(ARM_PEER_PACKAGES:%=%:arm64) $(@D)

# The box has no C library: passt brings its own.
build/cache/passt-arm64/bin/passt: guest-tests/testbed/passt-arm64 | deps-arm64
	@echo "  FETCH build/cache/passt-arm64"
	$(Q)$(IMAGES)/fetch-package passt:arm64 libc6:arm64 build/cache/passt-arm64
	$(Q)mkdir -p $(@D) && cp $< $@

$(ARM_GUEST)/vmlinuz: $(ARM_CLOUD)/vmlinuz
$(ARM_GUEST)/standard/vmlinuz: $(ARM_STANDARD)/vmlinuz
$(ARM_BED)/vmlinuz: $(ARM_STANDARD)/vmlinuz
$(ARM_GUEST)/vmlinuz $(ARM_GUEST)/standard/vmlinuz $(ARM_BED)/vmlinuz:
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(ARM_GUEST)/modules/modules.dep: $(ARM_CLOUD)/modules/modules.dep
$(ARM_GUEST)/standard/modules/modules.dep: $(ARM_STANDARD)/modules/modules.dep
$(ARM_GUEST)/modules/modules.dep $(ARM_GUEST)/standard/modules/modules.dep:
	@mkdir -p $(dir $(@D))
	$(Q)rm -rf $(@D) && ln -sr $(<D) $(@D)

$(ARM_GUEST)/initrd.cpio: $(IMAGES)/init $(IMAGES)/make-initrd $(ARM_BUSYBOX)
	@echo "  CPIO  $@"
	@mkdir -p $(@D)
	$(Q)BUSYBOX=$(ARM_BUSYBOX) $(IMAGES)/make-initrd $@ init=$<

$(ARM_GUEST)/initrd-virtio.cpio: $(IMAGES)/init $(IMAGES)/make-initrd $(ARM_BUSYBOX) $(ARM_CLOUD)/vmlinuz \
                                 guest-tests/rules.mk
	@echo "  CPIO  $@"
	@mkdir -p $(@D)/stripped
	$(Q)n=10; set --; \
	for m in net/core/failover $(VIRTIO_MODULES:%=drivers/%); do \
	    $(ARM_STRIP) --strip-debug -o $(@D)/stripped/$$n.ko $(ARM_CLOUD)/modules/kernel/$$m.ko || exit; \
	    set -- "$$@" modules/$$n-$${m##*/}.ko=$(@D)/stripped/$$n.ko; n=$$((n + 1)); \
	done; \
	BUSYBOX=$(ARM_BUSYBOX) $(IMAGES)/make-initrd $@ init=$< "$$@"

$(ARM_GUEST)/root.img: $(IMAGES)/init $(IMAGES)/make-root $(wildcard $(IMAGES)/root-tests/*) $(ARM_BUSYBOX)
	@echo "  EXT4  $@"
	@mkdir -p $(@D)
	$(Q)BUSYBOX=$(ARM_BUSYBOX) $(IMAGES)/make-root $@ 16M $< $(IMAGES)/root-tests

# The standard kernel has KVM and virtio's core built in.
ARM_BED_MODULES := drivers/virtio/virtio_mmio drivers/char/virtio_console fs/netfs/netfs fs/fscache/fscache \
                   net/9p/9pnet net/9p/9pnet_virtio fs/9p/9p drivers/net/dummy

$(ARM_BED)/agent: guest-tests/testbed/agent.c $(BED_SRC)
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(ARM_CC) $(BED_CFLAGS) -static -s -o $@ $(filter %.c,$^) -lutil

$(ARM_BED)/initrd.cpio: guest-tests/testbed/init-arm64 guest-tests/testbed/copy $(ARM_BED)/agent $(IMAGES)/make-initrd $(ARM_BUSYBOX) \
                        $(ARM_STANDARD)/vmlinuz guest-tests/arm64.mk
	@echo "  CPIO  $@"
	@mkdir -p $(@D)/modules
	$(Q)set --; for m in $(ARM_BED_MODULES); do \
	    $(ARM_STRIP) --strip-debug -o $(@D)/modules/$${m##*/}.ko $(ARM_STANDARD)/modules/kernel/$$m.ko || exit; \
	    set -- "$$@" modules/$${m##*/}.ko=$(@D)/modules/$${m##*/}.ko; \
	done; \
	BUSYBOX=$(ARM_BUSYBOX) $(IMAGES)/make-initrd $@ init=$< copy=guest-tests/testbed/copy bin/agent=$(ARM_BED)/agent "$$@"

# The small guests: build/guest-tests/arm64/NAME.img, in the format of a kernel.
ARM_GUESTS := fdt timer smp abort vblk ending
ARM_GUEST_LIB := $(patsubst %,guest-tests/arm64/lib/%.o,start main exception gic dtb memory) \
                 $(patsubst %,guest-tests/lib/%.o,printf string test cmdline wait virtio virtio_mmio virtq virtio_blk)
ARM_GUEST_OBJ := build/obj/guest-tests-arm64
# No FPU: nobody has switched it on.
ARM_GUEST_CFLAGS := -std=gnu11 -O2 -g $(GUEST_WARN) -I. -Iguest-tests/arm64/lib -MMD -MP -ffreestanding -fno-pic -fno-pie -nostdlib \
                    -fno-builtin -fno-tree-loop-distribute-patterns -mgeneral-regs-only -mstrict-align -mno-outline-atomics -fno-stack-protector \
                    -fno-asynchronous-unwind-tables -fno-common

.PHONY: guest-tests-arm64
#: make guest-tests-arm64   the small guests of guest-tests/arm64
guest-tests-arm64: $(ARM_GUESTS:%=build/guest-tests/arm64/%.img)

$(ARM_GUEST_OBJ)/%.o: %.c guest-tests/arm64.mk
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $< (arm64)")
	$(Q)$(ARM_CC) $(ARM_GUEST_CFLAGS) -c -o $@ $<
$(ARM_GUEST_OBJ)/%.o: %.S guest-tests/arm64.mk
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  AS    $< (arm64)")
	$(Q)$(ARM_CC) $(ARM_GUEST_CFLAGS) -c -o $@ $<
build/guest-tests/arm64/%.elf: $(ARM_GUEST_OBJ)/guest-tests/arm64/%.o $(ARM_GUEST_LIB:%=$(ARM_GUEST_OBJ)/%) \
                               guest-tests/arm64/lib/guest.lds
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)aarch64-linux-gnu-ld -nostdlib -static -T guest-tests/arm64/lib/guest.lds -z noexecstack --build-id=none \
	    --no-warn-rwx-segments -o $@ $(filter %.o,$^)
build/guest-tests/arm64/%.img: build/guest-tests/arm64/%.elf
	$(Q)aarch64-linux-gnu-objcopy -O binary $< $@
.PRECIOUS: $(ARM_GUEST_OBJ)/%.o build/guest-tests/arm64/%.elf

-include $(wildcard $(ARM_GUEST_OBJ)/guest-tests/*/*.d $(ARM_GUEST_OBJ)/guest-tests/*/lib/*.d)

.PHONY: check-arm64
#: make check-arm64     hv of arm64 in its box: the small guests, Debian's kernels; four minutes
check-arm64: deps-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) guests-arm64 testbed-arm64 guest-tests-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) ARCH=arm64 all
	@scripts/check guest-tests/arm64/run guest-tests/linux-arm64
