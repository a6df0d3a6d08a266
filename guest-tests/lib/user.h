/*
 * Ring 3, where programs run under a kernel. Guests of ours have no need to protect themselves; but
 * on a KVM that emulates ring 0 instruction by instruction, only ring 3 runs at the CPU's speed, so
 * what is to be measured runs there. It may use all ports, but not CLI and STI: such a KVM keeps
 * no IOPL, and has no INT n that leads back to ring 0, so that an invalid opcode does.
 */
#ifndef GUEST_USER_H
#define GUEST_USER_H

/* Calls the function in ring 3, on a stack of its own, and returns when it does. Not nested, on the
 * boot processor; interrupts stay as they are. */
void user_run(void (*function)(void));

/* user_entry.S: goes to ring 3; the instruction that ends it; where ring 0 goes on then. */
void user_enter(void (*function)(void), void *stack_top);
extern const char user_leave[], user_resume[];

#endif
