/*
 * The instructions that C has no words for: ports, time stamps, interrupts, control and
 * model-specific registers. Each is one instruction, so that a test knows what the hypervisor sees.
 * arch_io.h is that of the architecture that the compiler is told to build for (-I).
 */
#ifndef GUEST_IO_H
#define GUEST_IO_H

#include "arch_io.h"

#endif
