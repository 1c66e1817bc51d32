#include "cli/bench_run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PROGRESS_MS = 1000, OPENING_IN_FLIGHT = 64 };

enum phase { PHASE_WARMUP, PHASE_MEASURE, PHASE_STOP };

struct run {
    const struct tbk_bench_run_config *config;
    struct tbk_bench_result *result;
    _Atomic enum phase phase;
    atomic_llong calls_left; /* to be started, when a count was asked for */
    atomic_uint_fast64_t calls_ended;
    atomic_flag error_kept;
    atomic_uint_fast64_t last_end_ns;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    pthread_cond_t rested;
    unsigned slots_running; /* calls under way; this and idle are guarded by mutex */
    struct slot *idle;      /* of an open loop */
    uint64_t first_due_ns;  /* likewise, of the pacing thread alone */
    uint64_t due_count;
};

/* One call under way at a time. Only its own callback touches it. */
struct slot {
    struct run *run;
    struct tradebook_client *client;
    uint64_t random_state;
    enum tbk_bench_op op;
    uint64_t started_ns; /* or was due */
    bool is_measured;
    struct slot *next_idle;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void end_slot(struct slot *slot)
{
    struct run *run = slot->run;
    pthread_mutex_lock(&run->mutex);
    slot->next_idle = run->idle;
    run->idle = slot;
    if (slot->next_idle == NULL) {
        pthread_cond_signal(&run->rested);
    }
    run->slots_running--;
    if (run->slots_running == 0) {
        pthread_cond_signal(&run->ended);
    }
    pthread_mutex_unlock(&run->mutex);
}

static bool may_start(struct run *run)
{
    enum phase phase = atomic_load(&run->phase);
    if (phase == PHASE_MEASURE && run->config->count > 0) {
        return atomic_fetch_sub(&run->calls_left, 1) > 0;
    }
    return phase != PHASE_STOP;
}

static void keep_error(struct run *run, enum tradebook_code code, const struct tradebook_error *error)
{
    if (atomic_flag_test_and_set(&run->error_kept)) {
        return;
    }
    if (error != NULL) {
        run->result->first_error = *error;
    } else {
        run->result->first_error.code = code;
        snprintf(run->result->first_error.message, sizeof run->result->first_error.message,
                 "an item of the batch was refused");
    }
}

/* What a closed loop measures ends in the time, what an open loop does is due in it. */
static bool is_measured(const struct slot *slot)
{
    const struct run *run = slot->run;
    return run->config->rate > 0 ? slot->is_measured : atomic_load(&run->phase) == PHASE_MEASURE;
}

static void record(struct slot *slot, enum tradebook_code code, const struct tradebook_error *error,
                   uint64_t end_ns)
{
    struct run *run = slot->run;
    if (!is_measured(slot)) {
        return;
    }
    struct tbk_bench_op_result *result = &run->result->ops[slot->op];
    if (code == TRADEBOOK_OK) {
        tbk_histogram_record(&result->latency_ns, end_ns - slot->started_ns);
    } else {
        unsigned position = (unsigned)code < TBK_BENCH_CODE_COUNT ? (unsigned)code : TRADEBOOK_UNKNOWN;
        tbk_histogram_record(&result->error_latency_ns, end_ns - slot->started_ns);
        atomic_fetch_add(&result->errors[position], 1);
        keep_error(run, code, error);
    }
    atomic_fetch_add_explicit(&run->calls_ended, 1, memory_order_relaxed);
    atomic_store_explicit(&run->last_end_ns, end_ns, memory_order_relaxed);
}

static void call_ended(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                       const struct tradebook_error *error);

/* False when there are no more calls to start. */
static bool start_call(struct slot *slot, uint64_t start_ns)
{
    const struct tbk_bench_run_config *config = slot->run->config;
    if (!may_start(slot->run)) {
        end_slot(slot);
        return false;
    }
    slot->op = tbk_bench_choose(&config->mix, &slot->random_state);
    slot->started_ns = start_ns;
    union tbk_bench_request_space space;
    const ProtobufCMessage *request = tbk_bench_request(config->workload, slot->op, &space, &slot->random_state);
    if (request == NULL) {
        end_slot(slot);
        return false;
    }
    slot->is_measured = atomic_load(&slot->run->phase) == PHASE_MEASURE;
    const struct tradebook_call_options options = {.timeout_ms = config->timeout_ms};
    struct tradebook_error error;
    enum tradebook_code code = tradebook_call_async(slot->client, tbk_bench_op_method(slot->op), request, &options,
                                                    call_ended, slot, &error);
    if (code != TRADEBOOK_OK) {
        record(slot, code, &error, start_ns);
        end_slot(slot);
    }
    return true;
}

static void call_ended(void *argument, enum tradebook_code code, const ProtobufCMessage *reply,
                       const struct tradebook_error *error)
{
    struct slot *slot = argument;
    uint64_t end_ns = now_ns();
    if (code == TRADEBOOK_OK) {
        code = tbk_bench_check_reply(slot->op, reply);
    }
    record(slot, code, error, end_ns);
    if (slot->run->config->rate > 0) {
        end_slot(slot);
    } else {
        start_call(slot, end_ns);
    }
}

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000U), .tv_nsec = (long)(ns % 1000000000U)};
}

/* Waits until no call is under way or the time is there. */
static bool wait_until(struct run *run, uint64_t until_ns)
{
    const struct timespec until = time_of(until_ns);
    int result = 0;
    pthread_mutex_lock(&run->mutex);
    while (run->slots_running > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&run->ended, &run->mutex, &until);
    }
    bool all_ended = run->slots_running == 0;
    pthread_mutex_unlock(&run->mutex);
    return all_ended;
}

/* A slot for a call that is due; waits for one. NULL when the time is there. */
static struct slot *take_slot(struct run *run, uint64_t until_ns)
{
    const struct timespec until = time_of(until_ns);
    int result = 0;
    pthread_mutex_lock(&run->mutex);
    while (run->idle == NULL && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&run->rested, &run->mutex, &until);
    }
    struct slot *slot = run->idle;
    if (slot != NULL) {
        run->idle = slot->next_idle;
        run->slots_running++;
    }
    pthread_mutex_unlock(&run->mutex);
    return slot;
}

static uint64_t next_due(const struct run *run)
{
    const unsigned rate = run->config->rate;
    return run->first_due_ns + run->due_count / rate * 1000000000U + run->due_count % rate * 1000000000U / rate;
}

/* Starts calls when they are due, until the time is there. True when there are no
 * more to start, and the last one has ended. */
static bool pace_until(struct run *run, uint64_t until_ns)
{
    for (uint64_t due_ns = next_due(run); due_ns < until_ns; due_ns = next_due(run)) {
        const struct timespec due = time_of(due_ns);
        if (due_ns > now_ns()) {
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        struct slot *slot = take_slot(run, until_ns);
        if (slot == NULL) {
            return false;
        }
        run->due_count++;
        if (atomic_load(&run->phase) == PHASE_MEASURE) {
            tbk_histogram_record(&run->result->late_ns, now_ns() - due_ns);
        }
        if (!start_call(slot, due_ns)) {
            return wait_until(run, UINT64_MAX / 2);
        }
    }
    return false;
}

/* Lets calls go on until the time is there. True when all have ended before. */
static bool go_on_until(struct run *run, uint64_t until_ns)
{
    return run->config->rate > 0 ? pace_until(run, until_ns) : wait_until(run, until_ns);
}

static void show_progress(struct run *run, uint64_t begin_ns, uint64_t *calls_before)
{
    uint64_t calls = atomic_load(&run->calls_ended);
    double seconds = (double)(now_ns() - begin_ns) / 1e9;
    fprintf(stderr, "\r%6.0f s  %12llu calls  %10llu/s \x1b[K", seconds, (unsigned long long)calls,
            (unsigned long long)((calls - *calls_before) * 1000U / PROGRESS_MS));
    fflush(stderr);
    *calls_before = calls;
}

/* Measures from begin_ns until the duration is over, or the calls or the stock are
 * done, and answers when that was. */
static uint64_t measure(struct run *run, uint64_t begin_ns)
{
    const struct tbk_bench_run_config *config = run->config;
    uint64_t end_ns = config->count > 0 ? UINT64_MAX : begin_ns + (uint64_t)config->duration_ms * 1000000U;
    uint64_t tick_ns = begin_ns;
    uint64_t calls = 0;
    bool ended = false;
    while (!ended && tick_ns < end_ns) {
        uint64_t left_ns = end_ns - tick_ns;
        uint64_t step_ns = (uint64_t)PROGRESS_MS * 1000000U;
        tick_ns += left_ns < step_ns ? left_ns : step_ns;
        ended = go_on_until(run, tick_ns);
        if (config->progress) {
            show_progress(run, begin_ns, &calls);
        }
    }
    if (config->progress) {
        fputs("\r\x1b[K", stderr);
    }
    return ended ? atomic_load(&run->last_end_ns) : now_ns();
}

static void clear_result(struct tbk_bench_result *result)
{
    result->calls = 0;
    result->error_count = 0;
    result->first_error.code = TRADEBOOK_OK;
    result->first_error.message[0] = '\0';
    result->first_error.violation_count = 0;
    tbk_histogram_clear(&result->late_ns);
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        tbk_histogram_clear(&result->ops[op].latency_ns);
        tbk_histogram_clear(&result->ops[op].error_latency_ns);
        for (unsigned code = 0; code < TBK_BENCH_CODE_COUNT; code++) {
            atomic_store(&result->ops[op].errors[code], 0);
        }
    }
}

static void sum_up(struct tbk_bench_result *result, double seconds)
{
    result->seconds = seconds;
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        result->calls += tbk_histogram_count(&result->ops[op].latency_ns);
        for (unsigned code = 0; code < TBK_BENCH_CODE_COUNT; code++) {
            result->error_count += atomic_load(&result->ops[op].errors[code]);
        }
    }
}

static void init_run(struct run *run)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&run->ended, &attributes);
    pthread_cond_init(&run->rested, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&run->mutex, NULL);
    atomic_init(&run->phase, run->config->warmup_ms > 0 ? PHASE_WARMUP : PHASE_MEASURE);
    atomic_init(&run->calls_left, run->config->count);
}

static void init_slot(struct run *run, struct slot *slot, unsigned number, uint64_t *random_state)
{
    slot->run = run;
    slot->client = run->config->clients[number % run->config->client_count];
    slot->random_state = tbk_bench_random(random_state);
    slot->next_idle = run->idle;
    run->idle = slot;
}

static void start_all(struct run *run, struct slot *slots, unsigned count)
{
    run->idle = NULL;
    run->slots_running = count;
    for (unsigned i = 0; i < count; i++) {
        start_call(&slots[i], now_ns());
    }
}

static bool run_loop(const struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    struct run run = {.config = config, .result = result, .error_kept = ATOMIC_FLAG_INIT};
    const unsigned count = config->in_flight;
    struct slot *slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    clear_result(result);
    init_run(&run);
    uint64_t random_state = config->seed;
    for (unsigned i = count; i-- > 0;) {
        init_slot(&run, &slots[i], i, &random_state);
    }
    uint64_t begin_ns = now_ns();
    run.first_due_ns = begin_ns;
    if (config->rate == 0) {
        start_all(&run, slots, count);
    }
    if (config->warmup_ms > 0) {
        go_on_until(&run, begin_ns + (uint64_t)config->warmup_ms * 1000000U);
        begin_ns = now_ns();
        atomic_store(&run.phase, PHASE_MEASURE);
    }
    uint64_t end_ns = measure(&run, begin_ns);
    atomic_store(&run.phase, PHASE_STOP);
    wait_until(&run, UINT64_MAX / 2);
    sum_up(result, end_ns > begin_ns ? (double)(end_ns - begin_ns) / 1e9 : 0.0);
    pthread_cond_destroy(&run.ended);
    pthread_cond_destroy(&run.rested);
    pthread_mutex_destroy(&run.mutex);
    free(slots);
    return true;
}

/* The stock of open trades: signals, then one unmeasured run that opens them. */
static bool open_trades(const struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    struct tbk_bench_run_config opening = *config;
    opening.mix = (struct tbk_bench_mix){.weights[TBK_BENCH_OPEN] = 1};
    opening.in_flight = OPENING_IN_FLIGHT;
    opening.rate = 0;
    opening.warmup_ms = 0;
    opening.duration_ms = 0;
    opening.count = INT64_MAX; /* ends with the stock */
    opening.progress = false;
    if (!run_loop(&opening, result)) {
        return false;
    }
    tbk_bench_workload_stock_opened(config->workload);
    return true;
}

/* Leaves what went wrong in result. False when memory is exhausted. */
static bool fill_stock(const struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    static const enum tbk_bench_op ops[] = {TBK_BENCH_CLOSE, TBK_BENCH_OPEN};
    for (unsigned i = 0; i < sizeof ops / sizeof *ops && result->error_count == 0; i++) {
        if (config->mix.weights[ops[i]] == 0) {
            continue;
        }
        if (tbk_bench_workload_stock_signals(config->workload, config->clients[0], &result->first_error) !=
            TRADEBOOK_OK) {
            result->error_count = 1;
        } else if (ops[i] == TBK_BENCH_CLOSE && !open_trades(config, result)) {
            return false;
        }
    }
    return true;
}

bool tbk_bench_run(const struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    clear_result(result);
    if (!fill_stock(config, result)) {
        return false;
    }
    return result->error_count > 0 || run_loop(config, result);
}
