/*
 * Lines, messages and doorbells against a KVM of this file's making: it stands in for hv/kvm.c,
 * keeps what it was asked and refuses what it is told to.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hv/arch/arch.h"
#include "hv/irqchip.h"
#include "hv/kvm.h"
#include "hv/test/run_suite.h"

#define VM      77
#define DEVICE  0x18
#define ADDRESS UINT64_C(0x1fee01000)
#define DATA    0x4041

static struct {
    int capable; /* what each capability reads as */
    int fail_routing, fail_irqfd;
    unsigned routings, irqfds, lines, level, msis, ioeventfds;
    unsigned gsi[64]; /* of irqfds */
    int fd[64];
    struct kvm_irq_routing_entry route[64];
    unsigned route_count;
    uint64_t address, gpa;
    uint32_t data, match;
    unsigned size;
    bool enable;
} kvm;

int kvm_check_extension(int fd, unsigned capability)
{
    (void)capability;
    ck_assert_int_eq(fd, VM);
    return kvm.capable;
}

int kvm_irq_line(int vm, unsigned gsi, unsigned level)
{
    ck_assert_int_eq(vm, VM);
    ck_assert_uint_eq(gsi, 9);
    kvm.lines++;
    kvm.level = level;
    return 0;
}

int kvm_irqfd(int vm, int fd, unsigned gsi, bool enable)
{
    ck_assert_int_eq(vm, VM);
    ck_assert(enable);
    if (kvm.fail_irqfd && kvm.irqfds + 1 == (unsigned)kvm.fail_irqfd)
        return -EBUSY;
    kvm.gsi[kvm.irqfds] = gsi;
    kvm.fd[kvm.irqfds++] = fd;
    return 0;
}

int kvm_ioeventfd(int vm, int fd, uint64_t gpa, unsigned size, uint32_t match, bool enable)
{
    ck_assert_int_eq(vm, VM);
    ck_assert_int_eq(fd, 5);
    kvm.ioeventfds++;
    kvm.gpa = gpa;
    kvm.size = size;
    kvm.match = match;
    kvm.enable = enable;
    return 0;
}

int kvm_set_gsi_routing(int vm, const struct kvm_irq_routing *routing)
{
    ck_assert_int_eq(vm, VM);
    kvm.routings++;
    if (kvm.fail_routing)
        return -EINVAL;
    ck_assert_uint_le(routing->nr, 64);
    kvm.route_count = routing->nr;
    memcpy(kvm.route, routing->entries, routing->nr * sizeof(routing->entries[0]));
    return 0;
}

int kvm_signal_msi(int vm, const struct kvm_msi *message)
{
    ck_assert_int_eq(vm, VM);
    ck_assert_uint_eq(message->devid, DEVICE);
    ck_assert_uint_eq(message->flags, arch_irqs.msi_flags);
    kvm.msis++;
    kvm.address = (uint64_t)message->address_hi << 32 | message->address_lo;
    kvm.data = message->data;
    return 1;
}

static void start(struct irqchip *chip, bool use_irqfd, bool use_ioeventfd)
{
    memset(&kvm, 0, sizeof(kvm));
    kvm.capable = 1;
    irqchip_init(chip, VM, use_irqfd, use_ioeventfd);
}

/* How often the eventfd of the n-th irqfd was signalled since asked last. */
static uint64_t signals(unsigned n)
{
    eventfd_t count = 0;

    return eventfd_read(kvm.fd[n], &count) == 0 ? count : 0;
}

START_TEST(a_pin_without_irqfd_sets_its_level_by_ioctl)
{
    struct irqchip chip;
    struct irq_pin pin;
    struct irq_line line;

    start(&chip, false, true);
    ck_assert_int_eq(irq_pin_open(&pin, &chip, 9), 0);
    line = irq_pin_line(&pin);
    irq_set(&line, true);
    ck_assert_uint_eq(kvm.level, 1);
    irq_set(&line, false);
    ck_assert_uint_eq(kvm.level, 0);
    ck_assert_uint_eq(kvm.lines, 2);
    ck_assert_uint_eq(kvm.irqfds, 0);
    irq_pin_close(&pin);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_pin_with_irqfd_makes_one_edge_a_rise)
{
    struct irqchip chip;
    struct irq_pin pin;
    struct irq_line line;

    start(&chip, true, true);
    ck_assert_int_eq(irq_pin_open(&pin, &chip, 9), 0);
    ck_assert_uint_eq(kvm.gsi[0], 9);
    line = irq_pin_line(&pin);
    irq_set(&line, true);
    irq_set(&line, false);
    ck_assert_uint_eq(signals(0), 1);
    irq_set(&line, true);
    ck_assert_uint_eq(signals(0), 1);
    ck_assert_uint_eq(kvm.lines, 0);
    irq_pin_close(&pin);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_pin_without_gsi_is_not_wired)
{
    struct irqchip chip;
    struct irq_pin pin;

    start(&chip, true, true);
    ck_assert_int_eq(irq_pin_open(&pin, &chip, -1), 0);
    ck_assert_ptr_null(irq_pin_line(&pin).set);
    irq_pin_close(&pin);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_message_by_irqfd_keeps_the_io_apic_routes)
{
    struct irqchip chip;
    struct irq_msi *a, *b;
    struct msi_port port;

    start(&chip, true, true);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 2, &a), 0);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 3, &b), 0);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(kvm.gsi[i], arch_irqs.pins + i);
    port = irq_msi_port(b);
    ck_assert_int_eq(port.set(port.opaque, 2, true, ADDRESS, DATA), 0);
    ck_assert_uint_eq(kvm.route_count, arch_irqs.pins + 1);
    for (unsigned i = 0; i < arch_irqs.pins; i++) {
        ck_assert_uint_eq(kvm.route[i].gsi, i);
        ck_assert_uint_eq(kvm.route[i].type, KVM_IRQ_ROUTING_IRQCHIP);
        ck_assert_uint_eq(kvm.route[i].u.irqchip.irqchip, KVM_IRQCHIP_IOAPIC);
        ck_assert_uint_eq(kvm.route[i].u.irqchip.pin, i);
    }
    ck_assert_uint_eq(kvm.route[24].gsi, 28);
    ck_assert_uint_eq(kvm.route[24].type, KVM_IRQ_ROUTING_MSI);
    ck_assert_uint_eq(kvm.route[24].u.msi.address_lo, (uint32_t)ADDRESS);
    ck_assert_uint_eq(kvm.route[24].u.msi.address_hi, 1);
    ck_assert_uint_eq(kvm.route[24].u.msi.data, DATA);
    ck_assert_uint_eq(kvm.route[24].u.msi.devid, DEVICE);
    port.send(port.opaque, 2);
    ck_assert_uint_eq(signals(4), 1);
    irq_msi_destroy(a);
    irq_msi_destroy(b);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(the_same_message_again_costs_no_new_routing)
{
    struct irqchip chip;
    struct irq_msi *msi;
    struct msi_port port;

    start(&chip, true, true);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 1, &msi), 0);
    port = irq_msi_port(msi);
    port.set(port.opaque, 0, true, ADDRESS, DATA);
    port.set(port.opaque, 0, false, 0, 0);
    port.send(port.opaque, 0); /* off: nothing may be sent */
    ck_assert_uint_eq(signals(0), 0);
    port.set(port.opaque, 0, true, ADDRESS, DATA);
    ck_assert_uint_eq(kvm.routings, 1);
    port.set(port.opaque, 0, true, ADDRESS, DATA + 1);
    ck_assert_uint_eq(kvm.routings, 2);
    ck_assert_uint_eq(kvm.route_count, arch_irqs.pins + 1);
    ck_assert_uint_eq(kvm.route[24].u.msi.data, DATA + 1);
    irq_msi_destroy(msi);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_refused_route_leaves_the_table_as_it_was)
{
    struct irqchip chip;
    struct irq_msi *msi;
    struct msi_port port;

    start(&chip, true, true);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 2, &msi), 0);
    port = irq_msi_port(msi);
    ck_assert_int_eq(port.set(port.opaque, 0, true, ADDRESS, DATA), 0);
    kvm.fail_routing = 1;
    ck_assert_int_eq(port.set(port.opaque, 0, true, 1, 2), -EINVAL);
    ck_assert_int_eq(port.set(port.opaque, 1, true, 3, 4), -EINVAL);
    port.send(port.opaque, 0);
    port.send(port.opaque, 1);
    ck_assert_uint_eq(signals(0) + signals(1), 0);
    kvm.fail_routing = 0;
    ck_assert_int_eq(port.set(port.opaque, 1, true, ADDRESS, 5), 0);
    ck_assert_uint_eq(kvm.route_count, arch_irqs.pins + 2);
    ck_assert_uint_eq(kvm.route[24].u.msi.data, DATA);
    ck_assert_uint_eq(kvm.route[25].u.msi.data, 5);
    irq_msi_destroy(msi);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_message_without_irqfd_goes_by_ioctl)
{
    struct irqchip chip;
    struct irq_msi *msi;
    struct msi_port port;

    start(&chip, false, true);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 1, &msi), 0);
    port = irq_msi_port(msi);
    port.send(port.opaque, 0);
    ck_assert_uint_eq(kvm.msis, 0);
    ck_assert_int_eq(port.set(port.opaque, 0, true, ADDRESS, DATA), 0);
    port.send(port.opaque, 0);
    ck_assert_uint_eq(kvm.msis, 1);
    ck_assert_uint_eq(kvm.address, ADDRESS);
    ck_assert_uint_eq(kvm.data, DATA);
    ck_assert_uint_eq(kvm.irqfds + kvm.routings, 0);
    irq_msi_destroy(msi);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(more_messages_than_there_are_is_enospc)
{
    struct irqchip chip;
    struct irq_msi *all, *more;

    start(&chip, false, false);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, IRQCHIP_MAX_MSIS - 1, &all), 0);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 2, &more), -ENOSPC);
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 1, &more), 0);
    irq_msi_destroy(all);
    irq_msi_destroy(more);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(an_irqfd_that_kvm_refuses_leaks_no_descriptor)
{
    struct irqchip chip;
    struct irq_msi *msi;
    struct irq_pin pin;
    int before, after;

    start(&chip, true, true);
    before = dup(0);
    close(before);
    kvm.fail_irqfd = 3;
    ck_assert_int_eq(irq_msi_create(&chip, DEVICE, 4, &msi), -EBUSY);
    ck_assert_int_eq(irq_pin_open(&pin, &chip, 9), -EBUSY);
    after = dup(0);
    close(after);
    ck_assert_int_eq(after, before);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(doorbells_reach_kvm_or_are_refused_when_off)
{
    struct irqchip chip;
    struct doorbell_port port;

    start(&chip, true, true);
    port = irqchip_doorbells(&chip);
    ck_assert_int_eq(port.add(port.opaque, 0xc0003000, 0, 0, 5), 0);
    ck_assert(kvm.enable && kvm.gpa == 0xc0003000 && kvm.size == 0);
    ck_assert_int_eq(port.add(port.opaque, 0xd0000050, 4, 7, 5), 0);
    ck_assert(kvm.enable && kvm.size == 4 && kvm.match == 7);
    port.remove(port.opaque, 0xd0000050, 4, 7, 5);
    ck_assert(!kvm.enable && kvm.gpa == 0xd0000050);
    irqchip_fini(&chip);

    start(&chip, true, false);
    port = irqchip_doorbells(&chip);
    ck_assert_int_eq(port.add(port.opaque, 0xc0003000, 0, 0, 5), -ENOTSUP);
    port.remove(port.opaque, 0xc0003000, 0, 0, 5);
    ck_assert_uint_eq(kvm.ioeventfds, 0);
    irqchip_fini(&chip);
}
END_TEST

START_TEST(a_kvm_that_lacks_all_of_it_is_the_long_way)
{
    struct irqchip chip;
    struct doorbell_port port;

    memset(&kvm, 0, sizeof(kvm));
    irqchip_init(&chip, VM, true, true);
    port = irqchip_doorbells(&chip);
    ck_assert(!chip.use_irqfd);
    ck_assert_int_eq(port.add(port.opaque, 0xd0000050, 4, 7, 5), -ENOTSUP);
    irqchip_fini(&chip);
}
END_TEST

int main(void)
{
    const struct suite_case cases[] = {
        CASE(a_pin_without_irqfd_sets_its_level_by_ioctl),
        CASE(a_pin_with_irqfd_makes_one_edge_a_rise),
        CASE(a_pin_without_gsi_is_not_wired),
        CASE(a_message_by_irqfd_keeps_the_io_apic_routes),
        CASE(the_same_message_again_costs_no_new_routing),
        CASE(a_refused_route_leaves_the_table_as_it_was),
        CASE(a_message_without_irqfd_goes_by_ioctl),
        CASE(more_messages_than_there_are_is_enospc),
        CASE(an_irqfd_that_kvm_refuses_leaks_no_descriptor),
        CASE(doorbells_reach_kvm_or_are_refused_when_off),
        CASE(a_kvm_that_lacks_all_of_it_is_the_long_way),
    };

    return run_suite("irqchip", cases, ARRAY_SIZE(cases));
}
