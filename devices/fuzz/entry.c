/* libFuzzer's way in. FUZZ_TARGET is one of machine.h's, by the compiler's command line. */
#include "devices/fuzz/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(&FUZZ_TARGET, data, size);
    return 0;
}
