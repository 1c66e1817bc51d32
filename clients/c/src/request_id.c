/*
 * UUID version 7 (RFC 9562): 48 bits of milliseconds, version, 12 bits that
 * count within the millisecond, variant, 62 random bits.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tradebook/client.h"

/* getrandom answers up to 256 bytes in one piece. */
enum { RANDOM_BYTES = 256 };

static _Thread_local uint8_t random_bytes[RANDOM_BYTES];
static _Thread_local size_t random_bytes_left;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static atomic_uint_fast64_t last_tick;

/* A forked child must not repeat the ids of its parent. */
static void forget_random_bytes(void)
{
    random_bytes_left = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_random_bytes);
}

static uint64_t random_u64(void)
{
    uint64_t value;
    if (random_bytes_left < sizeof value) {
        pthread_once(&fork_once, watch_forks);
        while (getrandom(random_bytes, sizeof random_bytes, 0) < 0 && errno == EINTR) {
        }
        random_bytes_left = sizeof random_bytes;
    }
    random_bytes_left -= sizeof value;
    memcpy(&value, random_bytes + random_bytes_left, sizeof value);
    return value;
}

/* Milliseconds << 12 | counter, larger than all before it. When more than 4,096
 * ids are made in a millisecond, or the clock is set back, it runs ahead of the
 * clock. */
static uint64_t next_tick(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t clock_tick = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 12;
    uint64_t last = atomic_load_explicit(&last_tick, memory_order_relaxed);
    uint64_t tick;
    do {
        tick = clock_tick > last ? clock_tick : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last_tick, &last, tick, memory_order_relaxed,
                                                    memory_order_relaxed));
    return tick;
}

static void store_big_endian(uint8_t out[8], uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

void tradebook_request_id(uint8_t out[TRADEBOOK_REQUEST_ID_BYTES])
{
    const uint64_t version = UINT64_C(7) << 12;
    const uint64_t variant = UINT64_C(2) << 62;
    uint64_t tick = next_tick();
    store_big_endian(out, tick >> 12 << 16 | version | (tick & 0xfff));
    store_big_endian(out + 8, variant | random_u64() >> 2);
}
