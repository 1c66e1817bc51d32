/*
 * The operations that tradebook bench can issue, and the requests for them.
 *
 * Threads: a workload is made and stocked by one thread; then many take requests
 * from it.
 */
#ifndef TBK_CLI_BENCH_OPS_H
#define TBK_CLI_BENCH_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tradebook/client.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

enum tbk_bench_op {
    TBK_BENCH_ECHO,   /* AdminService/Echo of echo_bytes */
    TBK_BENCH_GET,    /* SignalService/GetSignal of any id */
    TBK_BENCH_CREATE, /* SignalService/CreateSignal, with notes of notes_bytes */
    TBK_BENCH_BATCH,  /* SignalService/BatchCreateSignals of batch_signals */
    TBK_BENCH_LIST,   /* SignalService/ListSignals, the newest page */
    TBK_BENCH_OPEN,   /* TradeService/OpenTrade of a signal in stock */
    TBK_BENCH_CLOSE,  /* TradeService/CloseTrade of an open trade in stock */
    TBK_BENCH_OP_COUNT,
};

/* How often each operation is chosen, in proportion. */
struct tbk_bench_mix {
    unsigned weights[TBK_BENCH_OP_COUNT];
};

struct tbk_bench_workload_config {
    unsigned echo_bytes;
    unsigned notes_bytes;   /* 0: without notes */
    unsigned batch_signals; /* 1 to 1,000 */
    unsigned trades;        /* signals or open trades to stock, 1 or more */
    uint64_t seed;
};

struct tbk_bench_workload;

const char *tbk_bench_op_name(enum tbk_bench_op op);
const char *tbk_bench_op_method(enum tbk_bench_op op);
/* TBK_BENCH_OP_COUNT when there is none of that name. */
enum tbk_bench_op tbk_bench_op_find(const char *name, size_t length);
/* Records that one call reads or writes. */
unsigned tbk_bench_op_records(const struct tbk_bench_workload *workload, enum tbk_bench_op op);

/* Reads "get=80,create=20" or "echo". On failure answers a sentence. */
const char *tbk_bench_mix_parse(const char *text, struct tbk_bench_mix *ret_mix);

/* NULL when memory is exhausted. */
struct tbk_bench_workload *tbk_bench_workload_create(const struct tbk_bench_workload_config *config);
void tbk_bench_workload_destroy(struct tbk_bench_workload *workload);
/* Asks the server which signals there are, for TBK_BENCH_GET. */
enum tradebook_code tbk_bench_workload_learn_ids(struct tbk_bench_workload *workload,
                                                 struct tradebook_client *client, struct tradebook_error *error);

/* Records config.trades new signals, which TBK_BENCH_OPEN then takes. */
enum tradebook_code tbk_bench_workload_stock_signals(struct tbk_bench_workload *workload,
                                                     struct tradebook_client *client,
                                                     struct tradebook_error *error);
/* Every signal in stock has been opened: TBK_BENCH_CLOSE takes them from now on. */
void tbk_bench_workload_stock_opened(struct tbk_bench_workload *workload);

/* A random number generator (SplitMix64); state is any number. */
uint64_t tbk_bench_random(uint64_t *state);
enum tbk_bench_op tbk_bench_choose(const struct tbk_bench_mix *mix, uint64_t *random_state);
/* Space for a request that is made when it is due. */
union tbk_bench_request_space {
    Tradebook__V1__GetSignalRequest get;
    Tradebook__V1__OpenTradeRequest open;
    Tradebook__V1__CloseTradeRequest close;
};

/* The request of the next call. NULL: the stock is used up. */
const ProtobufCMessage *tbk_bench_request(struct tbk_bench_workload *workload, enum tbk_bench_op op,
                                          union tbk_bench_request_space *space, uint64_t *random_state);
/* OK, or the code with which the first refused item of a batch was refused. */
enum tradebook_code tbk_bench_check_reply(enum tbk_bench_op op, const ProtobufCMessage *reply);

#endif
