/* The bytes of one Request envelope, as a client sends them. */
#include "sequence.h"
#include "server.h"

enum { RESTART_EVERY = 5000 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    fuzz_random_seed(seed);
    if (seed % 2 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    return fuzz_request_mutate(data, size, size_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    if (runs % RESTART_EVERY == 0)
        fuzz_server_restart();
    fuzz_server_call(data, size, NULL, NULL);
    fuzz_server_check_health();
    if (++runs % RESTART_EVERY == 0)
        fuzz_server_audit();
    return 0;
}
