# The guest's first program: one binary whatever hv is built with, and the object that embeds it.
# Written under a name of its own first, since makes for several compilers may run at once.

INIT      := build/$(if $(CROSS_$(ARCH)),$(ARCH)/)init/init
INIT_SRC  := $(wildcard firmware/init/*.c)
INIT_DEPS := $(wildcard firmware/init/*.h) firmware/init/rules.mk
INIT_MAX  := $(if $(CROSS_$(ARCH)),65536,40960)
# musl is there for programs that are linked statically: a tenth of the size of the same with glibc.
INIT_MUSL := $(if $(CROSS_$(ARCH)),aarch64-linux-musl-gcc,musl-gcc)
INIT_CC   := $(INIT_MUSL) -static -Os -std=gnu11 -D_GNU_SOURCE -I. -ffunction-sections -fdata-sections \
             -fno-asynchronous-unwind-tables -fno-stack-protector -Wl,--gc-sections,-z,noexecstack,-z,noseparate-code,-z,norelro -s

$(INIT): $(INIT_SRC) $(INIT_DEPS)
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  INIT  $@")
	$(Q)new=$@.$$$$; trap 'rm -f $$new' EXIT; $(INIT_CC) $(WARN) -o $$new $(INIT_SRC) || exit; \
	    size=$$(stat -c %s $$new); [ $$size -le $(INIT_MAX) ] || \
	        { echo "$@ has $$size bytes, more than $(INIT_MAX)" >&2; exit 1; }; \
	    mv $$new $@

$(B)/obj/firmware/init/image.o: firmware/init/image.S $(INIT) $(B)/flags
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  AS    $<")
	$(Q)$(CC) -DINIT='"$(INIT)"' -c -o $@ $<

# The tests run these parts of it on the host.
INIT_TESTED := $(patsubst %,$(B)/obj/firmware/init/%.o,agent config dhcp format link say session spawn spec)
INIT_TESTS  := $(patsubst %,$(B)/tests/firmware/test/test_init_%,agent config format heap wire)
$(INIT_TESTS): $(INIT_TESTED)
$(INIT_TESTS): TEST_SHARED += $(INIT_TESTED)
-include $(INIT_TESTED:.o=.d)
