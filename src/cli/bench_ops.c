#include "cli/bench_ops.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tradebook/v1/admin.pb-c.h"

enum {
    SIGNALS_PREPARED = 1000, /* also the most of a batch */
    LIST_PAGE_SIZE = 50,
    WEIGHT_MAX = 1000000,
};

static const struct {
    const char *name;
    const char *method;
} operations[TBK_BENCH_OP_COUNT] = {
    [TBK_BENCH_ECHO] = {"echo", "/tradebook.v1.AdminService/Echo"},
    [TBK_BENCH_GET] = {"get", "/tradebook.v1.SignalService/GetSignal"},
    [TBK_BENCH_CREATE] = {"create", "/tradebook.v1.SignalService/CreateSignal"},
    [TBK_BENCH_BATCH] = {"batch", "/tradebook.v1.SignalService/BatchCreateSignals"},
    [TBK_BENCH_LIST] = {"list", "/tradebook.v1.SignalService/ListSignals"},
    [TBK_BENCH_OPEN] = {"open", "/tradebook.v1.TradeService/OpenTrade"},
    [TBK_BENCH_CLOSE] = {"close", "/tradebook.v1.TradeService/CloseTrade"},
};

/* Ids of signals, each taken once. */
struct stock {
    int64_t *ids;
    size_t count;
    atomic_size_t taken; /* may exceed count */
};

/* Requests made in advance, so that the load does not measure their making. */
struct tbk_bench_workload {
    struct tbk_bench_workload_config config;
    uint8_t *payload; /* of echo */
    char *notes;
    Tradebook__V1__Signal signals[SIGNALS_PREPARED];
    Tradebook__V1__Signal *signal_pointers[SIGNALS_PREPARED];
    Tradebook__V1__CreateSignalRequest creates[SIGNALS_PREPARED];
    Tradebook__V1__BatchCreateSignalsRequest batch;
    Tradebook__V1__EchoRequest echo;
    Tradebook__V1__ListSignalsRequest list;
    int64_t first_id;
    int64_t last_id;
    struct stock unopened;
    struct stock open;
};

const char *tbk_bench_op_name(enum tbk_bench_op op)
{
    return operations[op].name;
}

const char *tbk_bench_op_method(enum tbk_bench_op op)
{
    return operations[op].method;
}

enum tbk_bench_op tbk_bench_op_find(const char *name, size_t length)
{
    unsigned op = 0;
    while (op < TBK_BENCH_OP_COUNT &&
           (strlen(operations[op].name) != length || memcmp(operations[op].name, name, length) != 0)) {
        op++;
    }
    return (enum tbk_bench_op)op;
}

unsigned tbk_bench_op_records(const struct tbk_bench_workload *workload, enum tbk_bench_op op)
{
    switch (op) {
    case TBK_BENCH_BATCH:
        return workload->config.batch_signals;
    case TBK_BENCH_LIST:
        return LIST_PAGE_SIZE;
    default:
        return 1;
    }
}

/* One "name" or "name=weight". */
static const char *parse_entry(const char *text, size_t length, struct tbk_bench_mix *mix)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
    enum tbk_bench_op op = tbk_bench_op_find(text, name_length);
    if (op == TBK_BENCH_OP_COUNT) {
        return "the operations are echo, get, create, batch, list, open and close";
    }
    unsigned long weight = 1;
    if (equals != NULL) {
        char *end;
        weight = strtoul(equals + 1, &end, 10);
        if (end != text + length || end == equals + 1 || equals[1] == '-' || weight > WEIGHT_MAX) {
            return "a weight is a number from 0 to 1000000, as in get=80,create=20";
        }
    }
    mix->weights[op] = (unsigned)weight;
    return NULL;
}

const char *tbk_bench_mix_parse(const char *text, struct tbk_bench_mix *ret_mix)
{
    struct tbk_bench_mix mix = {{0}};
    for (const char *entry = text;; entry++) {
        size_t length = strcspn(entry, ",");
        const char *problem = parse_entry(entry, length, &mix);
        if (problem != NULL) {
            return problem;
        }
        entry += length;
        if (*entry == '\0') {
            break;
        }
    }
    unsigned total = 0;
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        total += mix.weights[op];
    }
    if (total == 0) {
        return "at least one weight must be above 0";
    }
    *ret_mix = mix;
    return NULL;
}

uint64_t tbk_bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From 0 to below limit. */
static uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return tbk_bench_random(state) % limit;
}

static double random_between(uint64_t *state, double low, double high)
{
    return low + (high - low) * (double)(tbk_bench_random(state) >> 11) / 9007199254740992.0;
}

enum tbk_bench_op tbk_bench_choose(const struct tbk_bench_mix *mix, uint64_t *random_state)
{
    uint64_t total = 0;
    for (unsigned op = 0; op < TBK_BENCH_OP_COUNT; op++) {
        total += mix->weights[op];
    }
    uint64_t chosen = random_below(random_state, total);
    unsigned op = 0;
    while (chosen >= mix->weights[op]) {
        chosen -= mix->weights[op++];
    }
    return (enum tbk_bench_op)op;
}

/* A plausible signal: long or short, stops on the right sides of the entry. */
static void make_signal(Tradebook__V1__Signal *signal, char *notes, uint64_t *random_state)
{
    static const char *const symbols[] = {"BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD"};
    static const char *const sessions[] = {"tokyo", "london", "new_york"};
    *signal = (Tradebook__V1__Signal)TRADEBOOK__V1__SIGNAL__INIT;
    bool is_long = random_below(random_state, 2) == 0;
    double side = is_long ? 1.0 : -1.0;
    signal->symbol = (char *)symbols[random_below(random_state, 5)];
    signal->session = (char *)sessions[random_below(random_state, 3)];
    signal->has_direction = 1;
    signal->direction =
        is_long ? TRADEBOOK__V1__DIRECTION__DIRECTION_LONG : TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT;
    signal->has_tier = 1;
    signal->tier = (Tradebook__V1__Tier)(TRADEBOOK__V1__TIER__TIER_LOW + (int)random_below(random_state, 3));
    signal->has_confidence = signal->has_lstm_prediction = signal->has_transformer_prediction = 1;
    signal->has_rl_prediction = signal->has_ensemble_prediction = signal->has_latency_ms = 1;
    signal->confidence = random_between(random_state, 0.5, 1.0);
    signal->lstm_prediction = random_between(random_state, 0.0, 1.0);
    signal->transformer_prediction = random_between(random_state, 0.0, 1.0);
    signal->rl_prediction = random_between(random_state, 0.0, 1.0);
    signal->ensemble_prediction = random_between(random_state, 0.0, 1.0);
    signal->latency_ms = random_between(random_state, 20.0, 200.0);
    signal->has_entry_price = signal->has_tp_price = signal->has_sl_price = 1;
    signal->entry_price = random_between(random_state, 10.0, 70000.0);
    signal->tp_price = signal->entry_price * (1.0 + 0.02 * side);
    signal->sl_price = signal->entry_price * (1.0 - 0.01 * side);
    signal->model_version = (char *)"bench";
    signal->strategy = (char *)"v7_full_math";
    signal->notes = notes;
}

/* So many x and a NUL. */
static uint8_t *filled(unsigned length)
{
    uint8_t *bytes = malloc((size_t)length + 1);
    if (bytes != NULL) {
        memset(bytes, 'x', length);
        bytes[length] = '\0';
    }
    return bytes;
}

struct tbk_bench_workload *tbk_bench_workload_create(const struct tbk_bench_workload_config *config)
{
    struct tbk_bench_workload *workload = calloc(1, sizeof *workload);
    if (workload == NULL) {
        return NULL;
    }
    workload->config = *config;
    workload->payload = filled(config->echo_bytes);
    workload->notes = config->notes_bytes > 0 ? (char *)filled(config->notes_bytes) : NULL;
    if (workload->payload == NULL || (config->notes_bytes > 0 && workload->notes == NULL)) {
        tbk_bench_workload_destroy(workload);
        return NULL;
    }
    uint64_t random_state = config->seed;
    for (unsigned i = 0; i < SIGNALS_PREPARED; i++) {
        make_signal(&workload->signals[i], workload->notes, &random_state);
        workload->signal_pointers[i] = &workload->signals[i];
        workload->creates[i] = (Tradebook__V1__CreateSignalRequest)TRADEBOOK__V1__CREATE_SIGNAL_REQUEST__INIT;
        workload->creates[i].signal = &workload->signals[i];
    }
    workload->batch = (Tradebook__V1__BatchCreateSignalsRequest)TRADEBOOK__V1__BATCH_CREATE_SIGNALS_REQUEST__INIT;
    workload->batch.n_signals = config->batch_signals;
    workload->batch.signals = workload->signal_pointers;
    workload->echo = (Tradebook__V1__EchoRequest)TRADEBOOK__V1__ECHO_REQUEST__INIT;
    workload->echo.has_payload = 1;
    workload->echo.payload = (ProtobufCBinaryData){.len = config->echo_bytes, .data = workload->payload};
    workload->list = (Tradebook__V1__ListSignalsRequest)TRADEBOOK__V1__LIST_SIGNALS_REQUEST__INIT;
    workload->list.has_page_size = 1;
    workload->list.page_size = LIST_PAGE_SIZE;
    workload->list.order_by = (char *)"id desc";
    return workload;
}

void tbk_bench_workload_destroy(struct tbk_bench_workload *workload)
{
    if (workload != NULL) {
        free(workload->payload);
        free(workload->notes);
        free(workload->unopened.ids);
        free(workload->open.ids);
        free(workload);
    }
}

static enum tradebook_code first_id_of(struct tradebook_client *client, const char *order_by, int64_t *ret_id,
                                       struct tradebook_error *error)
{
    Tradebook__V1__ListSignalsRequest request = TRADEBOOK__V1__LIST_SIGNALS_REQUEST__INIT;
    request.has_page_size = 1;
    request.page_size = 1;
    request.order_by = (char *)order_by;
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code =
        tradebook_call(client, tbk_bench_op_method(TBK_BENCH_LIST), &request.base, NULL, &reply, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    const Tradebook__V1__ListSignalsResponse *page = (const Tradebook__V1__ListSignalsResponse *)reply;
    *ret_id = page->n_signals > 0 ? page->signals[0]->id : 0;
    tradebook_message_free(reply);
    return TRADEBOOK_OK;
}

enum tradebook_code tbk_bench_workload_learn_ids(struct tbk_bench_workload *workload,
                                                 struct tradebook_client *client, struct tradebook_error *error)
{
    enum tradebook_code code = first_id_of(client, "id", &workload->first_id, error);
    if (code == TRADEBOOK_OK) {
        code = first_id_of(client, "id desc", &workload->last_id, error);
    }
    if (code == TRADEBOOK_OK && workload->last_id == 0) {
        error->code = code = TRADEBOOK_FAILED_PRECONDITION;
        error->violation_count = 0;
        snprintf(error->message, sizeof error->message,
                 "the server has no signals to get; record some with --mix create first");
    }
    return code;
}

/* Records up to count signals and puts their ids behind those in the stock. */
static enum tradebook_code record_signals(struct tbk_bench_workload *workload, struct tradebook_client *client,
                                          size_t count, struct tradebook_error *error)
{
    Tradebook__V1__BatchCreateSignalsRequest batch = workload->batch;
    batch.n_signals = count < SIGNALS_PREPARED ? count : SIGNALS_PREPARED;
    ProtobufCMessage *reply = NULL;
    enum tradebook_code code =
        tradebook_call(client, tbk_bench_op_method(TBK_BENCH_BATCH), &batch.base, NULL, &reply, error);
    if (code != TRADEBOOK_OK) {
        return code;
    }
    code = tbk_bench_check_reply(TBK_BENCH_BATCH, reply);
    if (code != TRADEBOOK_OK) {
        error->code = code;
        error->violation_count = 0;
        snprintf(error->message, sizeof error->message, "the server refused a signal to trade");
    }
    const Tradebook__V1__BatchCreateSignalsResponse *response =
        (const Tradebook__V1__BatchCreateSignalsResponse *)reply;
    for (size_t i = 0; code == TRADEBOOK_OK && i < response->n_results; i++) {
        workload->unopened.ids[workload->unopened.count++] = response->results[i]->id;
    }
    tradebook_message_free(reply);
    return code;
}

enum tradebook_code tbk_bench_workload_stock_signals(struct tbk_bench_workload *workload,
                                                     struct tradebook_client *client,
                                                     struct tradebook_error *error)
{
    struct stock *stock = &workload->unopened;
    free(stock->ids);
    stock->count = 0;
    atomic_store(&stock->taken, 0);
    stock->ids = calloc(workload->config.trades, sizeof *stock->ids);
    if (stock->ids == NULL) {
        error->code = TRADEBOOK_RESOURCE_EXHAUSTED;
        error->violation_count = 0;
        snprintf(error->message, sizeof error->message, "memory is exhausted");
        return error->code;
    }
    enum tradebook_code code = TRADEBOOK_OK;
    while (code == TRADEBOOK_OK && stock->count < workload->config.trades) {
        code = record_signals(workload, client, workload->config.trades - stock->count, error);
    }
    return code;
}

void tbk_bench_workload_stock_opened(struct tbk_bench_workload *workload)
{
    free(workload->open.ids);
    workload->open.ids = workload->unopened.ids;
    workload->open.count = workload->unopened.count;
    atomic_store(&workload->open.taken, 0);
    workload->unopened.ids = NULL;
    workload->unopened.count = 0;
}

/* False when nothing is left. Answers the prepared signal that was recorded under
 * the id. */
static bool take(struct tbk_bench_workload *workload, struct stock *stock, int64_t *ret_id,
                 const Tradebook__V1__Signal **ret_signal)
{
    const size_t position = atomic_fetch_add(&stock->taken, 1);
    if (position >= stock->count) {
        return false;
    }
    *ret_id = stock->ids[position];
    *ret_signal = &workload->signals[position % SIGNALS_PREPARED];
    return true;
}

static const ProtobufCMessage *open_request(struct tbk_bench_workload *workload,
                                            Tradebook__V1__OpenTradeRequest *open)
{
    const Tradebook__V1__Signal *signal;
    *open = (Tradebook__V1__OpenTradeRequest)TRADEBOOK__V1__OPEN_TRADE_REQUEST__INIT;
    open->has_signal_id = 1;
    return take(workload, &workload->unopened, &open->signal_id, &signal) ? &open->base : NULL;
}

static const ProtobufCMessage *close_request(struct tbk_bench_workload *workload,
                                             Tradebook__V1__CloseTradeRequest *close, uint64_t *random_state)
{
    const Tradebook__V1__Signal *signal;
    *close = (Tradebook__V1__CloseTradeRequest)TRADEBOOK__V1__CLOSE_TRADE_REQUEST__INIT;
    if (!take(workload, &workload->open, &close->signal_id, &signal)) {
        return NULL;
    }
    close->has_signal_id = close->has_exit_price = 1;
    close->exit_price = signal->entry_price * random_between(random_state, 0.98, 1.02);
    close->exit_reason = (char *)"manual";
    return &close->base;
}

const ProtobufCMessage *tbk_bench_request(struct tbk_bench_workload *workload, enum tbk_bench_op op,
                                          union tbk_bench_request_space *space, uint64_t *random_state)
{
    switch (op) {
    case TBK_BENCH_GET:
        space->get = (Tradebook__V1__GetSignalRequest)TRADEBOOK__V1__GET_SIGNAL_REQUEST__INIT;
        space->get.has_id = 1;
        space->get.id =
            workload->first_id +
            (int64_t)random_below(random_state, (uint64_t)(workload->last_id - workload->first_id) + 1);
        return &space->get.base;
    case TBK_BENCH_CREATE:
        return &workload->creates[random_below(random_state, SIGNALS_PREPARED)].base;
    case TBK_BENCH_BATCH:
        return &workload->batch.base;
    case TBK_BENCH_LIST:
        return &workload->list.base;
    case TBK_BENCH_OPEN:
        return open_request(workload, &space->open);
    case TBK_BENCH_CLOSE:
        return close_request(workload, &space->close, random_state);
    default:
        return &workload->echo.base;
    }
}

enum tradebook_code tbk_bench_check_reply(enum tbk_bench_op op, const ProtobufCMessage *reply)
{
    if (op != TBK_BENCH_BATCH) {
        return TRADEBOOK_OK;
    }
    const Tradebook__V1__BatchCreateSignalsResponse *batch =
        (const Tradebook__V1__BatchCreateSignalsResponse *)reply;
    for (size_t i = 0; i < batch->n_results; i++) {
        if (batch->results[i]->status != NULL) {
            return (enum tradebook_code)batch->results[i]->status->code;
        }
    }
    return TRADEBOOK_OK;
}
