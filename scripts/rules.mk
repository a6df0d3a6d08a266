# Checks, benchmarks and housekeeping. Each check prints TAP; scripts/check counts.

.PHONY: deps check check-guest check-long check-unit check-quick lint bench fuzz format man clean distclean

TB := $(B)/tests

#: make check           everything: unit, guest and Linux tests, static checks, both compilers
check: deps deps-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) all tests guests testbed guest-tests \
	    guests-arm64 testbed-arm64 guest-tests-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) ARCH=arm64 all
	@scripts/check \
	    '$(MAKE) -s check-unit' \
	    'hv/test/bad-input $(B)/hv' \
	    'hv/test/suite-runs $(B)/hv' \
	    'scripts/test-ci-examples $(B)/hv' \
	    'firmware/test/acpi-tables $(TB)/firmware/test/test_acpi' \
	    'firmware/test/smbios-tables $(TB)/firmware/test/test_smbios' \
	    'firmware/test/fdt-trees $(TB)/firmware/test/test_fdt' \
	    $(if $(SAN),,'scripts/lint' 'scripts/test-build' 'scripts/test-variants') \
	    'guest-tests/bench/test-baseline' \
	    'guest-tests/bench/test-stopwatch' \
	    'guest-tests/run --build build --hv $(B)/hv' \
	    'guest-tests/run --build build --vmm qemu' \
	    'guest-tests/terminal --hv $(B)/hv' \
	    'guest-tests/suite-leaks --hv $(B)/hv' \
	    --pairs \
	    'guest-tests/linux --hv $(B)/hv --part alone' \
	    'guest-tests/linux --hv $(B)/hv --part others' \
	    'guest-tests/linux-command --hv $(B)/hv --part others' \
	    'guest-tests/linux-command --hv $(B)/hv --part alone' \
	    'guest-tests/testbed/selftest ends' \
	    'guest-tests/linux-arm64' \
	    'guest-tests/linux-virtio --hv $(B)/hv --part others' \
	    'guest-tests/testbed/selftest promises' \
	    'guest-tests/linux-virtio --hv $(B)/hv --part alone' \
	    'guest-tests/linux-share --hv $(B)/hv --part others' \
	    'guest-tests/linux-share --hv $(B)/hv --part alone' \
	    'guest-tests/arm64/run'

#: make check-guest     the small guests of guest-tests/x86 on hv, and beside it on QEMU
check-guest: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all guest-tests
	@[ "$$(guest-tests/kvm-kind)" = real ] || $(MAKE) --no-print-directory testbed
	@scripts/check 'guest-tests/run --build build --hv $(B)/hv' 'guest-tests/run --build build --vmm qemu'

#: make check-long      checked I/O over 1 GiB, a command that prints 1 GiB, 500 boots: hours in the testbed
check-long: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all guests testbed
	@scripts/check 'guest-tests/linux-virtio --hv $(B)/hv --filter verify --boots 1024' \
	    'guest-tests/linux --hv $(B)/hv --filter boots-in-a-row --boots 500' \
	    'guest-tests/linux-share --hv $(B)/hv --filter file-cases --boots 1' \
	    'guest-tests/linux-command --hv $(B)/hv --filter streams --boots 1024'

#: make check-quick     what needs neither a KVM nor the testbed, in a minute
check-quick: all tests
	@scripts/check '$(MAKE) -s check-unit' 'hv/test/bad-input $(B)/hv' 'scripts/lint --fast'

.PHONY: tests
tests: $(TESTS)

#: make check-unit      unit tests; no /dev/kvm, no root, no network
check-unit: $(TESTS)
	@scripts/unit-tests $(TESTS)

#: make lint            layers, headers, sizes, format, cppcheck, clang-tidy, shellcheck
lint:
	@scripts/install-deps lint
	@scripts/lint

#: make bench           hv beside QEMU and bare ioctls, medians and ratios (docs/performance.md)
bench: deps deps-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) all guests testbed guest-tests guests-arm64 testbed-arm64
	@$(MAKE) --no-print-directory -j$$(nproc) ARCH=arm64 all
	@$(MAKE) --no-print-directory $(ARM_PEER) || echo 'bench: no QEMU of arm64: boot-arm64 has no peer' >&2
	@guest-tests/bench/run

deps:
	@scripts/install-deps

#: make fuzz T=60       fuzz kernel loaders, queues, devices and readers of results, T seconds each (clang, libFuzzer)
FUZZ_CC      := clang -std=gnu11 -O1 -g -I. -D_GNU_SOURCE -pthread -MMD -MP \
                -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_DEVICES := $(filter-out machine transport entry,$(basename $(notdir $(wildcard devices/fuzz/*.c))))
FUZZ_LIB     := $(patsubst %.c,build/fuzz/obj/%.o,$(wildcard hv/loader/*.c $(addsuffix /*.c,devices/core \
                devices/virtio devices/block devices/fs devices/net devices/pci)))
FUZZ_SUITE   := $(patsubst %,build/fuzz/obj/hv/%.o,fuzz/suite kernel_reports \
                $(addprefix suite/,ktap ktap_cases ktap_line splat expect text))
FUZZERS      := loader suite $(FUZZ_DEVICES)
fuzz: $(FUZZERS:%=build/fuzz/%)
	@for f in $(FUZZERS); do \
	    mkdir -p build/fuzz/corpus/$$f && echo "# $$f" && \
	    build/fuzz/$$f -max_total_time=$(or $(T),60) -max_len=2048 -timeout=20 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/$$f- build/fuzz/corpus/$$f $$(find devices/fuzz/corpus/$$f -maxdepth 0 2>/dev/null) || \
	        exit 1; \
	done
build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer-no-link -c -o $@ $<
build/fuzz/libfuzzed.a: $(FUZZ_LIB)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
build/fuzz/loader: build/fuzz/obj/hv/fuzz/loader.o build/fuzz/libfuzzed.a
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer -o $@ $^ -luring -lz
build/fuzz/suite: $(FUZZ_SUITE)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer -o $@ $^
$(FUZZ_DEVICES:%=build/fuzz/%): build/fuzz/%: build/fuzz/obj/devices/fuzz/%.o \
		build/fuzz/obj/devices/fuzz/machine.o build/fuzz/obj/devices/fuzz/transport.o devices/fuzz/entry.c build/fuzz/libfuzzed.a
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer -DFUZZ_TARGET=fuzz_$* -o $@ $^ -luring
-include $(FUZZ_LIB:.o=.d) $(FUZZ_SUITE:.o=.d) $(FUZZ_DEVICES:%=build/fuzz/obj/devices/fuzz/%.d)

# The same targets without libFuzzer, on the corpus that is checked in.
FUZZ_OBJ := $(patsubst %,$(B)/obj/devices/fuzz/%.o,machine transport $(FUZZ_DEVICES))
$(TB)/devices/test/test_fuzz_corpus: $(FUZZ_OBJ)
$(TB)/devices/test/test_fuzz_corpus: TEST_SHARED += $(FUZZ_OBJ)
-include $(FUZZ_OBJ:.o=.d)

#: make SAN=LIST ...    any of these with sanitizers: address,undefined or thread
#: make CC=clang ...    with the other compiler; V=1 shows commands, WERROR=0 lets warnings pass

#: make man             build/hv.1, to be read with man -l
man: $(B)/hv.1
$(B)/hv.1: $(B)/hv docs/hv.1.in scripts/man
	$(Q)scripts/man $(B)/hv > $@

#: make format          apply .clang-format
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

#: make clean           remove what was built; fetched guests and testbed stay
clean:
	$(Q)rm -rf $(filter-out build/cache build/guest build/testbed,$(wildcard build/*))

#: make distclean       remove those too
distclean:
	$(Q)rm -rf build
