/* Exceptions; see exception.h. Called by start.S on the stack of whoever was interrupted. */
#include "guest-tests/arm64/lib/exception.h"

#include "guest-tests/arm64/lib/gic.h"
#include "guest-tests/arm64/lib/start.h"
#include "guest-tests/lib/console.h"
#include "guest-tests/lib/io.h"
#include "guest-tests/lib/test.h"

/* Which of the four in each group of vectors. */
enum { VECTOR_SYNC = 0, VECTOR_IRQ = 1, VECTOR_KINDS = 4 };

static interrupt_handler *handlers[INTIDS];
static bool expected;
volatile struct fault fault;

void interrupt_handle(unsigned intid, interrupt_handler *handler)
{
    handlers[intid] = handler;
}

void faults_expect(bool on)
{
    expected = on;
}

static void interrupt(void)
{
    uint32_t intid = gic_acknowledge();

    if (intid < INTIDS && handlers[intid])
        handlers[intid]();
    gic_end(intid);
}

void exception_taken(uint64_t vector, struct frame *frame)
{
    if (vector % VECTOR_KINDS == VECTOR_IRQ) {
        interrupt();
        return;
    }
    fault.esr = read_sysreg("esr_el1");
    fault.far = read_sysreg("far_el1");
    fault.elr = frame->elr;
    fault.count++;
    if (expected && vector % VECTOR_KINDS == VECTOR_SYNC) {
        frame->elr += 4;
        return;
    }
    printf("FAIL: %s: vector %u, esr 0x%llx, far 0x%llx, elr 0x%llx\n", guest_name,
           (unsigned)vector, (unsigned long long)fault.esr, (unsigned long long)fault.far,
           (unsigned long long)fault.elr);
    guest_exit(EXIT_FAIL);
}
