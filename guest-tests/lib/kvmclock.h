/*
 * The clock that KVM gives to its guests: a page that says how to make nanoseconds of the time
 * stamp counter (Linux: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW).
 */
#ifndef GUEST_KVMCLOCK_H
#define GUEST_KVMCLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Has KVM keep this CPU's page up to date. False: no such clock. CPUs from 0 to KVMCLOCK_CPUS - 1.
 */
bool kvmclock_start(unsigned cpu);
#define KVMCLOCK_CPUS 4

/* Nanoseconds since the guest was made, by the page of that CPU, on which the caller must run. */
uint64_t kvmclock_now(unsigned cpu);

/* Ticks of the time stamp counter a millisecond, as KVM tells it. */
uint64_t kvmclock_tsc_khz(unsigned cpu);

#endif
