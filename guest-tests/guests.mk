# The small guests: build/guest-tests/x86/NAME.elf from guest-tests/x86 and guest-tests/lib.
#
# To add one: put its name into GUESTS, and its objects below if it needs more than NAME.c.
# 32-bit guests stay in protected mode, the others run 64-bit code. Both become 32-bit ELF files,
# because Multiboot loaders take no others; linux64 is a 64-bit one without Multiboot and PVH, and
# anyentry a 64-bit one with both, which hv enters in each of the three ways.

GUESTS    := longmode entrystate pio mmio timer uart smp debugexit ending storm rtc memmap bootinfo echo \
             debugcon powerbutton vblk vnet vrng vconsole \
             vstatus vhostile interrupts clocks poweron mmiosweep pit ps2 ata ne2000 \
             hypervisor
GUESTS_32 := protected realmode
GUESTS_64 := linux64
GUESTS_ANY := anyentry
GUESTS_BENCH := diskring netring exits touch

GB        := build$(if $(filter clang%,$(CC)),/clang)
GUEST_OUT := $(GB)/guest-tests/x86
GUEST_OBJ := $(GB)/obj/guest-tests

GUEST_WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion \
                $(if $(filter 1,$(WERROR)),-Werror)
# No FPU and vector registers: nobody has switched them on. No red zone: interrupts use the stack.
GUEST_CFLAGS := -std=gnu11 -O2 -g $(GUEST_WARN) -I. -Iguest-tests/x86/lib -MMD -MP -ffreestanding -fno-pic -fno-pie \
                -nostdlib -fno-builtin -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
                -fcf-protection=none -fno-asynchronous-unwind-tables -fno-common
GUEST_LD     := ld -nostdlib -static -T guest-tests/lib/guest.lds -z max-page-size=4096 \
                -z noexecstack --build-id=none --no-warn-rwx-segments

GUEST_LIB    := header pvh_note gdt boot boot_multiboot boot_pvh boot_linux64 cmdline console printf string memory test end
GUEST_LIB_32 := $(GUEST_LIB) start32 arch32
GUEST_LIB_64 := $(GUEST_LIB) start64 page_map isr idt apic ioapic wait wait_pc paging smp trampoline \
                pci virtio virtio_mmio virtio_pci virtq virtio_blk virtio_net inet virtio_rng virtio_console \
                user_entry user kvmclock pit ps2 ata ne2000

GUEST_LIB_32 := $(GUEST_LIB_32:%=$(GUEST_OBJ)/32/lib/%.o)
GUEST_LIB_64 := $(GUEST_LIB_64:%=$(GUEST_OBJ)/64/lib/%.o)

# What a guest is made of beside the library, and where it is linked.
GUEST_PARTS_pio      := pio pio_string
GUEST_PARTS_realmode := realmode real
GUEST_PARTS_anyentry := entrystate
GUEST_BASE_realmode  := 0x100000
GUEST_BASE_protected := 0x100000
guest_parts = $(or $(GUEST_PARTS_$(1)),$(1))
guest_base  = $(or $(GUEST_BASE_$(1)),0x400000)

GUEST_IMAGES := $(patsubst %,$(GUEST_OUT)/%.elf,$(GUESTS) $(GUESTS_32) $(GUESTS_64) $(GUESTS_ANY)) \
                $(GUESTS_BENCH:%=$(GB)/guest-tests/bench/%.elf)

.PHONY: guest-tests
#: make guest-tests     the small guests of guest-tests/x86
guest-tests: $(GUEST_IMAGES)

# A change of compiler or flags rebuilds all.
$(GUEST_OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(GUEST_CFLAGS) $(GUEST_LD)' | cmp -s - $@ || echo '$(CC) $(GUEST_CFLAGS) $(GUEST_LD)' > $@

define guest_objects
$(GUEST_OBJ)/$(1)/%.o: guest-tests/%.c $(GUEST_OBJ)/flags
	@mkdir -p $$(@D)
	@$$(if $$(filter 0,$$(V)),echo "  CC    $$< ($(1) bit)")
	$$(Q)$$(CC) -m$(1) $$(GUEST_CFLAGS) -c -o $$@ $$<
$(GUEST_OBJ)/$(1)/%.o: guest-tests/%.S $(GUEST_OBJ)/flags
	@mkdir -p $$(@D)
	@$$(if $$(filter 0,$$(V)),echo "  AS    $$< ($(1) bit)")
	$$(Q)$$(CC) -m$(1) $$(GUEST_CFLAGS) -c -o $$@ $$<
endef
$(foreach bits,32 64,$(eval $(call guest_objects,$(bits))))

# $(1): name, $(2): bits of its code, $(3): library, $(4): objcopy step or nothing, $(5): folder or x86
define guest_image
$(GB)/guest-tests/$(or $(5),x86)/$(1).elf: \
                       $(patsubst %,$(GUEST_OBJ)/$(2)/$(or $(5),x86)/%.o,$(call guest_parts,$(1))) $(3) \
                       guest-tests/lib/guest.lds
	@mkdir -p $$(@D)
	@$$(if $$(filter 0,$$(V)),echo "  LD    $$@")
	$$(Q)$(GUEST_LD) -m $(if $(filter 32,$(2)),elf_i386,elf_x86_64) \
	    --defsym guest_base=$(call guest_base,$(1)) -o $$@ $$(filter %.o,$$^)
	$(if $(4),$$(Q)objcopy -O elf32-i386 $$@ || { rm -f $$@; exit 1; })
endef
$(foreach g,$(GUESTS),$(eval $(call guest_image,$(g),64,$(GUEST_LIB_64),to32)))
$(foreach g,$(GUESTS_32),$(eval $(call guest_image,$(g),32,$(GUEST_LIB_32),)))
$(foreach g,$(GUESTS_64),$(eval $(call guest_image,$(g),64,$(filter-out %/header.o %/pvh_note.o,$(GUEST_LIB_64)),)))
$(foreach g,$(GUESTS_ANY),$(eval $(call guest_image,$(g),64,$(GUEST_LIB_64),)))
# Without Multiboot's header, so that every monitor that knows PVH takes them by that.
$(foreach g,$(GUESTS_BENCH),$(eval $(call guest_image,$(g),64,$(filter-out %/header.o,$(GUEST_LIB_64)),,bench)))

-include $(wildcard $(GUEST_OBJ)/*/*/*.d)
