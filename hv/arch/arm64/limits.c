/* What a host's KVM may have too little of for the machine that was asked for. Pure. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/util.h"
#include "hv/arch/arm64/arm64.h"
#include "hv/arch/arm64/layout.h"

/* What a VM of type 0 has, and the least that KVM takes by number. */
#define IPA_BITS_DEFAULT 40
#define IPA_BITS_LEAST   32

int arm64_ipa_bits(int most, uint64_t ram_end)
{
    int bits = IPA_BITS_LEAST;

    if (most <= 0)
        most = IPA_BITS_DEFAULT;
    while (bits < 64 && ram_end > UINT64_C(1) << bits)
        bits++;
    if (bits <= most)
        return bits;
    log_error("--memory: this host's KVM gives guests addresses of %d bits, which is %" PRIu64
              " MiB of RAM at most",
              most, ((UINT64_C(1) << most) - LAYOUT_RAM) / MIB);
    return -EINVAL;
}

int arm64_gic_refused(int err, unsigned cpus)
{
    if (err == -E2BIG)
        log_error("--cpus %u: the interrupt controller of this host has room for 8", cpus);
    else if (err)
        log_error("cannot create the interrupt controller: %s", strerror(-err));
    return err;
}
