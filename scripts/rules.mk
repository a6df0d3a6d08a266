# Checks and housekeeping.

.PHONY: check-unit format clean

#: make check-unit      unit tests; no /dev/kvm, no root, no network
check-unit: $(TESTS)
	@scripts/unit-tests $(TESTS)

#: make format          apply .clang-format
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

#: make clean           remove what was built; fetched guests and testbed stay (make distclean)
clean:
	$(Q)find build -mindepth 1 -maxdepth 1 ! -name guest ! -name testbed ! -name cache -exec rm -rf {} + 2>/dev/null || true
