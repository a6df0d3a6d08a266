/*
 * What a person needs when a guest died or had to be ended: registers of every vCPU, the code it
 * was at and how it came there, the rule it broke, the last exits and the last console lines.
 */
#ifndef HV_REPORT_H
#define HV_REPORT_H

#include <stdio.h>

struct vm;

/* True for ends that deserve a report (triple fault, deadline, vmm-error). */
int report_wanted(const struct vm *vm);

/* The last lines of the guest's console. The vCPUs have stopped, here and below. */
void report_print_console(FILE *out, const struct vm *vm);

#define REPORT_INDENT "    " /* of the lines of a backtrace */

/* Leaves each vCPU's backtrace behind, in struct vcpu. */
void report_print(FILE *out, struct vm *vm);

#endif
