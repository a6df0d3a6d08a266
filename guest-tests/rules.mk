# Guest images, the testbed, and what boots them. Included by the Makefile.
# Everything fetched or made here stays the same for all compilers and sanitizers, hence build/, not $(B).

GUEST   := build/guest/x86_64
BED     := build/testbed
GUEST_FILES := $(addprefix $(GUEST)/,vmlinuz vmlinux initrd.cpio initrd-virtio.cpio root.img \
               initrd-virtiofs.cpio modules/modules.dep standard/vmlinuz standard/vmlinux \
               standard/initrd-9p.cpio standard/modules/modules.dep)
# The virtio drivers of Debian's cloud kernel, in an order in which they load.
VIRTIO_MODULES := virtio/virtio_ring virtio/virtio virtio/virtio_mmio virtio/virtio_pci_modern_dev \
               virtio/virtio_pci_legacy_dev virtio/virtio_pci block/virtio_blk net/net_failover \
               net/virtio_net char/hw_random/virtio-rng char/virtio_console virtio/virtio_balloon
# Those with which Debian's standard kernel mounts a directory of the host.
SHARE_MODULES := drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_mmio \
               drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci \
               fs/netfs/netfs fs/fscache/fscache net/9p/9pnet net/9p/9pnet_virtio fs/9p/9p
# Those with which Debian's cloud kernel does.
VIRTIOFS_MODULES := virtio/virtio_ring virtio/virtio virtio/virtio_mmio virtio/virtio_pci_modern_dev \
               virtio/virtio_pci_legacy_dev virtio/virtio_pci
IMAGES  := guest-tests/images
# What the box loads, in the order of guest-tests/testbed/init.
BED_MODULES := drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_mmio \
               drivers/char/virtio_console fs/netfs/netfs fs/fscache/fscache net/9p/9pnet \
               net/9p/9pnet_virtio fs/9p/9p fs/overlayfs/overlay drivers/net/tun drivers/net/dummy \
               virt/lib/irqbypass \
               drivers/crypto/ccp/ccp arch/x86/kvm/kvm arch/x86/kvm/kvm-amd
# What a test loads by itself.
BED_LOADABLE := drivers/block/loop lib/crc16 fs/mbcache fs/jbd2/jbd2 crypto/crc32c_generic fs/ext4/ext4
BED_FILES   := bin/agent=$(BED)/agent bin/hold=$(BED)/hold init=guest-tests/testbed/init copy=guest-tests/testbed/copy \
               $(foreach m,$(BED_MODULES),modules/$(notdir $m).ko=$(BED)/modules/$(notdir $m).ko)
BED_SRC     := guest-tests/testbed/frame.c guest-tests/testbed/frame.h
BED_CFLAGS  := -std=gnu11 -O2 $(WARN) -I. -D_GNU_SOURCE

.PHONY: guests testbed run check-testbed deps-test deps-build

#: make guests          fetch Debian's kernels (apt, once) and make the guest images in build/guest
guests: $(GUEST_FILES)

#: make testbed         prepare the box with a KVM (guest-tests/testbed/run)
testbed: $(addprefix $(BED)/,vmlinux initrd.cpio link tsc-khz)

#: make run             boot Debian's kernel to a shell; KERNEL=FILE INITRD=FILE ARGS=... to choose
run: deps-build guests
	@$(MAKE) --no-print-directory all
	@[ "$$(guest-tests/kvm-kind)" = real ] || $(MAKE) --no-print-directory testbed
	@guest-tests/boot "$$KERNEL" "$$INITRD" "$$ARGS"

#: make check-testbed   what guest-tests/testbed/run promises
check-testbed: testbed guests
	@guest-tests/testbed/selftest

deps-build deps-test: deps-%:
	@scripts/install-deps $*

# The two kernel packages. Fetched once: a newer package, or script, does not change the guests of a
# tree that has them (rm -r build/cache does).
build/cache/linux-%/vmlinuz: | deps-test
	@echo "  FETCH linux-image-$*"
	$(Q)$(IMAGES)/fetch-kernel $* $(@D)

$(GUEST)/vmlinuz: build/cache/linux-cloud-amd64/vmlinuz
$(GUEST)/standard/vmlinuz: build/cache/linux-amd64/vmlinuz
$(GUEST)/vmlinuz $(GUEST)/standard/vmlinuz:
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(GUEST)/vmlinux $(GUEST)/standard/vmlinux: %/vmlinux: %/vmlinuz $(IMAGES)/extract-vmlinux
	@echo "  ELF   $@"
	$(Q)$(IMAGES)/extract-vmlinux $< $@

# Where hv looks for the modules of a kernel: beside it.
$(GUEST)/modules/modules.dep: build/cache/linux-cloud-amd64/modules/modules.dep
$(GUEST)/standard/modules/modules.dep: build/cache/linux-amd64/modules/modules.dep
$(GUEST)/modules/modules.dep $(GUEST)/standard/modules/modules.dep:
	@mkdir -p $(dir $(@D))
	$(Q)rm -rf $(@D) && ln -sr $(<D) $(@D)

# Debian's packages make it when they are installed. depmod wants the place of an installed tree, but
# takes any release for it; the paths that it writes are relative.
build/cache/linux-%/modules/modules.dep: build/cache/linux-%/vmlinuz | deps-test
	@echo "  DEPMOD linux-image-$*"
	$(Q)tree=$$(mktemp -d) && mkdir -p $$tree/lib/modules && ln -s $(abspath $(@D)) $$tree/lib/modules/1.0.0 && \
	PATH=$$PATH:/sbin:/usr/sbin depmod -b $$tree 1.0.0 && rm -r $$tree

$(GUEST)/initrd.cpio: $(IMAGES)/init $(IMAGES)/make-initrd | deps-test
	@echo "  CPIO  $@"
	@mkdir -p $(@D)
	$(Q)$(IMAGES)/make-initrd $@ init=$<

# What is above with the virtio drivers: for roots on disk (root=/dev/vda) and networks.
$(GUEST)/initrd-virtio.cpio: $(IMAGES)/init $(IMAGES)/make-initrd build/cache/linux-cloud-amd64/vmlinuz \
                             guest-tests/rules.mk | deps-test
	@echo "  CPIO  $@"
	@mkdir -p $(@D)/stripped
	$(Q)n=10; set --; tree=build/cache/linux-cloud-amd64/modules/kernel; \
	for m in net/core/failover $(VIRTIO_MODULES:%=drivers/%); do \
	    strip --strip-debug -o $(@D)/stripped/$$n.ko $$tree/$$m.ko || exit; \
	    set -- "$$@" modules/$$n-$${m##*/}.ko=$(@D)/stripped/$$n.ko; n=$$((n + 1)); \
	done; \
	$(IMAGES)/make-initrd $@ init=$< "$$@"

$(GUEST)/initrd-virtiofs.cpio: $(IMAGES)/init $(IMAGES)/make-initrd $(IMAGES)/virtiofs-tests.sh \
                               build/cache/linux-cloud-amd64/vmlinuz guest-tests/rules.mk | deps-test
	@echo "  CPIO  $@"
	@mkdir -p $(@D)/virtiofs
	$(Q)n=10; set --; tree=build/cache/linux-cloud-amd64/modules/kernel; \
	for m in $(VIRTIOFS_MODULES:%=drivers/%) fs/fuse/fuse fs/fuse/virtiofs; do \
	    strip --strip-debug -o $(@D)/virtiofs/$$n.ko $$tree/$$m.ko || exit; \
	    set -- "$$@" modules/$$n-$${m##*/}.ko=$(@D)/virtiofs/$$n.ko; n=$$((n + 1)); \
	done; \
	$(IMAGES)/make-initrd $@ init=$< tests/virtiofs-tests.sh=$(IMAGES)/virtiofs-tests.sh "$$@"

# Static: the guest has no libraries.
$(GUEST)/fs-cases: $(wildcard $(IMAGES)/fs-cases/*.[ch])
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(BED_CFLAGS) -static -s -o $@ $(filter %.c,$^)

$(GUEST)/standard/initrd-9p.cpio: $(IMAGES)/init $(IMAGES)/make-initrd $(IMAGES)/share-tests.sh $(GUEST)/fs-cases \
                                  build/cache/linux-amd64/vmlinuz guest-tests/rules.mk | deps-test
	@echo "  CPIO  $@"
	@mkdir -p $(@D)/stripped
	$(Q)n=10; set --; for m in $(SHARE_MODULES); do \
	    strip --strip-debug -o $(@D)/stripped/$$n.ko build/cache/linux-amd64/modules/kernel/$$m.ko || exit; \
	    set -- "$$@" modules/$$n-$${m##*/}.ko=$(@D)/stripped/$$n.ko; n=$$((n + 1)); \
	done; \
	$(IMAGES)/make-initrd $@ init=$(IMAGES)/init tests/share-tests.sh=$(IMAGES)/share-tests.sh \
	    tests/fs-cases=$(GUEST)/fs-cases "$$@"

# An ext4 file system to be a guest's root, with what tests of disks and networks need.
$(GUEST)/root.img: $(IMAGES)/init $(IMAGES)/make-root $(wildcard $(IMAGES)/root-tests/*) | deps-test
	@echo "  EXT4  $@"
	@mkdir -p $(@D)
	$(Q)$(IMAGES)/make-root $@ 192M $< $(IMAGES)/root-tests fio iperf3

$(BED)/vmlinux: $(GUEST)/standard/vmlinux
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Without debug information, and without the signature that the box would spend time on.
$(BED)/modules/stamp: build/cache/linux-amd64/vmlinuz guest-tests/rules.mk
	@mkdir -p $(@D)
	$(Q)for m in $(BED_MODULES) $(BED_LOADABLE); do \
	    strip --strip-debug -o $(@D)/$${m##*/}.ko build/cache/linux-amd64/modules/kernel/$$m.ko || exit; \
	done
	$(Q)touch $@

$(BED)/link: guest-tests/testbed/link.c $(BED_SRC)
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(BED_CFLAGS) -o $@ $(filter %.c,$^)

$(BED)/tsc-khz: guest-tests/testbed/tsc-khz.c
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(BED_CFLAGS) -o $@ $<

# Static: it starts before the box can see this machine's libraries.
$(BED)/agent: guest-tests/testbed/agent.c $(BED_SRC)
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(BED_CFLAGS) -static -s -o $@ $(filter %.c,$^) -lutil

$(BED)/hold: guest-tests/testbed/hold.c
	@echo "  CC    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(BED_CFLAGS) -static -s -o $@ $<

$(BED)/initrd.cpio: $(IMAGES)/make-initrd $(BED)/agent $(BED)/hold $(BED)/modules/stamp \
                    guest-tests/testbed/init guest-tests/testbed/copy
	@echo "  CPIO  $@"
	$(Q)$(IMAGES)/make-initrd $@ $(BED_FILES)
