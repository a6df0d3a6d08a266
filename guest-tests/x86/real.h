/* Shared by realmode.c and real.S. */
#ifndef GUEST_X86_REAL_H
#define GUEST_X86_REAL_H

#define REAL_BASE   0x7000 /* where the code is copied to */
#define REAL_STACK  0x7000 /* grows down from there */
#define REAL_RESULT 0x6000 /* interrupt ran, value by segment, SP after push, value pushed */
#define REAL_MAGIC  0x600dc0de

#endif
