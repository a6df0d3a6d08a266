/*
 * Starting the other CPUs. After power-on only the boot processor runs; the application processors
 * (APs) wait for INIT, then for a startup message that names the page where they begin, in real
 * mode (SDM volume 3, 9.4).
 */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include <stdbool.h>
#include <stdint.h>

#define SMP_MAX_CPUS 256

/* What each AP runs, once it is in long mode with the interrupt table and its APIC on. */
typedef void smp_main(uint32_t id);

/*
 * Starts the AP with that APIC id and waits until it runs `main`. An AP whose main returns halts
 * with interrupts on, and so serves IPIs. False: it did not come up.
 */
bool smp_start(uint32_t id, bool x2apic, smp_main *main);

#endif
