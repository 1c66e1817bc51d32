/*
 * tradebook bench: how fast a server answers.
 */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/connection.h"

enum {
    IN_FLIGHT_MAX = 65536,
    IN_FLIGHT_DEFAULT = 64,
    IN_FLIGHT_OPEN_DEFAULT = 16384, /* with a rate */
    RATE_MAX = 1000000,
    CONNECTIONS_MAX = 1024,
    BATCH_MAX = 1000,
    PAYLOAD_MAX = 1024 * 1024,
    ECHO_BYTES_DEFAULT = 128,
    BATCH_DEFAULT = 100,
    TRADES_MAX = 10000000,
    TRADES_DEFAULT = 100000,
    DURATION_MS_DEFAULT = 10000,
    WARMUP_MS_DEFAULT = 1000,
    ALTERNATE_DURATION_MS_DEFAULT = 2000,
    ALTERNATE_WARMUP_MS_DEFAULT = 300,
    NOT_GIVEN = -1,
};

struct bench_args {
    struct tbk_connection connection;
    struct tbk_bench_workload_config workload;
    struct tbk_bench_mix mix;
    struct tbk_bench_alternation plan; /* op_count 0: not asked for */
    unsigned in_flight;                /* 0: the default */
    unsigned rate;                     /* 0: a closed loop */
    unsigned connections;
    int64_t duration_ms; /* NOT_GIVEN: the default */
    int64_t warmup_ms;   /* likewise */
    int64_t count;
    bool as_json;
    bool quiet;
};

enum {
    OPTION_MIX = 0x100,
    OPTION_IN_FLIGHT,
    OPTION_RATE,
    OPTION_CONNECTIONS,
    OPTION_PAYLOAD,
    OPTION_BATCH,
    OPTION_TRADES,
    OPTION_DURATION,
    OPTION_COUNT,
    OPTION_WARMUP,
    OPTION_SEED,
    OPTION_FORMAT,
    OPTION_ALTERNATE,
    OPTION_ROUNDS,
    OPTION_LEVELS,
};

static const struct argp_option options[] = {
    {"mix", OPTION_MIX, "MIX", 0, "Operations and their shares, such as get=80,create=20 (default: echo)", 0},
    {"in-flight", OPTION_IN_FLIGHT, "N", 0, "Calls under way at any time, over all connections (default 64)", 0},
    {"rate", OPTION_RATE, "N", 0,
     "Start N calls each second, whether or not earlier ones were answered; latency counts from when a call was "
     "due. At most --in-flight calls (then 16384 by default) are under way",
     0},
    {"connections", OPTION_CONNECTIONS, "N", 0, "Connections to spread them over (default 1)", 0},
    {"payload", OPTION_PAYLOAD, "BYTES", 0,
     "Size of echoes (default 128) and of the notes of signals (default: none)", 0},
    {"batch", OPTION_BATCH, "N", 0, "Signals of one batch (default 100)", 0},
    {"trades", OPTION_TRADES, "N", 0,
     "Before each run of open or close, record so many signals, and open them for close; the run ends when they "
     "are "
     "used up (default 100000, or --count)",
     0},
    {"duration", OPTION_DURATION, "SECONDS", 0, "How long to measure (default 10; with --alternate 2 each)", 0},
    {"count", OPTION_COUNT, "N", 0, "Measure so many calls instead", 0},
    {"warmup", OPTION_WARMUP, "SECONDS", 0,
     "Run so long before measuring (default 1; with --alternate 0.3; with --count 0)", 0},
    {"seed", OPTION_SEED, "N", 0, "Choose operations, ids and values by this number (default 1)", 0},
    {"format", OPTION_FORMAT, "FORMAT", 0, "table (default) or json", 0},
    {"quiet", 'q', NULL, 0, "No progress line", 0},
    {"alternate", OPTION_ALTERNATE, "OPERATIONS", 0,
     "Measure these operations in turn, such as echo,get,create,batch, and print medians", 1},
    {"rounds", OPTION_ROUNDS, "N", 0, "With --alternate: how often (default 5)", 1},
    {"levels", OPTION_LEVELS, "N,N", 0, "With --alternate: calls in flight (default 1,16,64,256)", 1},
    {0},
};

static const char doc[] =
    "Measure throughput and latency of a server in a closed loop: a fixed number of calls "
    "is always under way, each "
    "answer starts the next call. Or with --rate in an open loop, as many independent clients "
    "make it: calls start when they are due."
    "\v"
    "Operations: echo (the transport alone), get (a signal by a random id), create (a "
    "signal), batch (--batch signals "
    "in one call), list (the 50 newest signals), open and close (a trade). create, batch, "
    "open and close write signals with model_version \"bench\", and their trades, into the "
    "server's database.\n\n"
    "The exit status is 1 when any call failed.\n\n"
    "Examples:\n"
    "  tradebook bench --mix get=80,create=20 --in-flight 64 --duration 30\n"
    "  tradebook bench --mix create --rate 20000 --timeout 1\n"
    "  tradebook bench --alternate echo,get,create,batch --rounds 5 --format json";

static long long parse_number(const struct argp_state *state, const char *option, const char *text,
                              long long least, long long most)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < least || number > most) {
        argp_error(state, "%s: \"%s\" is not a whole number from %lld to %lld.", option, text, least, most);
    }
    return number;
}

static int64_t parse_seconds(const struct argp_state *state, const char *option, const char *text, double least)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= least) || seconds > 1e6) {
        argp_error(state, "%s: \"%s\" is not a number of seconds from %g to 1000000.", option, text, least);
    }
    return (int64_t)(seconds * 1000.0 + 0.5);
}

static void parse_alternate(const struct argp_state *state, const char *text, struct tbk_bench_alternation *plan)
{
    plan->op_count = 0;
    for (const char *name = text;; name++) {
        size_t length = strcspn(name, ",");
        enum tbk_bench_op op = tbk_bench_op_find(name, length);
        if (op == TBK_BENCH_OP_COUNT || plan->op_count == TBK_BENCH_OP_COUNT) {
            argp_error(state,
                       "--alternate: \"%s\" is wrong; name each of echo, get, create, batch, list, open, close "
                       "once at most.",
                       text);
        }
        plan->ops[plan->op_count++] = op;
        name += length;
        if (*name == '\0') {
            return;
        }
    }
}

static void parse_levels(const struct argp_state *state, const char *text, struct tbk_bench_alternation *plan)
{
    plan->level_count = 0;
    for (const char *level = text;; level++) {
        char *end;
        unsigned long number = strtoul(level, &end, 10);
        if (end == level || *level == '-' || (*end != ',' && *end != '\0') || number < 1 ||
            number > IN_FLIGHT_MAX || plan->level_count == TBK_BENCH_LEVELS_MAX) {
            argp_error(state, "--levels: \"%s\" is not a list of at most %d numbers from 1 to %d.", text,
                       (int)TBK_BENCH_LEVELS_MAX, (int)IN_FLIGHT_MAX);
        }
        plan->levels[plan->level_count++] = (unsigned)number;
        if (*end == '\0') {
            return;
        }
        level = end;
    }
}

static void parse_mix(const struct argp_state *state, const char *text, struct tbk_bench_mix *mix)
{
    const char *problem = tbk_bench_mix_parse(text, mix);
    if (problem != NULL) {
        argp_error(state, "--mix: \"%s\" is wrong: %s.", text, problem);
    }
}

static void parse_format(const struct argp_state *state, const char *text, bool *as_json)
{
    *as_json = strcmp(text, "json") == 0;
    if (!*as_json && strcmp(text, "table") != 0) {
        argp_error(state, "--format: \"%s\" is not table or json.", text);
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct bench_args *args = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->connection;
        return 0;
    case OPTION_MIX:
        parse_mix(state, argument, &args->mix);
        return 0;
    case OPTION_IN_FLIGHT:
        args->in_flight = (unsigned)parse_number(state, "--in-flight", argument, 1, IN_FLIGHT_MAX);
        return 0;
    case OPTION_RATE:
        args->rate = (unsigned)parse_number(state, "--rate", argument, 1, RATE_MAX);
        return 0;
    case OPTION_CONNECTIONS:
        args->connections = (unsigned)parse_number(state, "--connections", argument, 1, CONNECTIONS_MAX);
        return 0;
    case OPTION_PAYLOAD:
        args->workload.echo_bytes = (unsigned)parse_number(state, "--payload", argument, 0, PAYLOAD_MAX);
        args->workload.notes_bytes = args->workload.echo_bytes;
        return 0;
    case OPTION_BATCH:
        args->workload.batch_signals = (unsigned)parse_number(state, "--batch", argument, 1, BATCH_MAX);
        return 0;
    case OPTION_TRADES:
        args->workload.trades = (unsigned)parse_number(state, "--trades", argument, 1, TRADES_MAX);
        return 0;
    case OPTION_DURATION:
        args->duration_ms = parse_seconds(state, "--duration", argument, 0.1);
        return 0;
    case OPTION_COUNT:
        args->count = parse_number(state, "--count", argument, 1, INT64_MAX);
        return 0;
    case OPTION_WARMUP:
        args->warmup_ms = parse_seconds(state, "--warmup", argument, 0);
        return 0;
    case OPTION_SEED:
        args->workload.seed = (uint64_t)parse_number(state, "--seed", argument, 0, INT64_MAX);
        return 0;
    case OPTION_FORMAT:
        parse_format(state, argument, &args->as_json);
        return 0;
    case 'q':
        args->quiet = true;
        return 0;
    case OPTION_ALTERNATE:
        parse_alternate(state, argument, &args->plan);
        return 0;
    case OPTION_ROUNDS:
        args->plan.rounds = (unsigned)parse_number(state, "--rounds", argument, 1, TBK_BENCH_ROUNDS_MAX);
        return 0;
    case OPTION_LEVELS:
        parse_levels(state, argument, &args->plan);
        return 0;
    case ARGP_KEY_END:
        if (args->count > 0 && args->duration_ms != NOT_GIVEN) {
            argp_error(state, "--duration and --count exclude each other.");
        }
        if (args->rate > 0 && args->plan.op_count > 0) {
            argp_error(state, "--rate and --alternate exclude each other.");
        }
        if (args->in_flight == 0) {
            args->in_flight = args->rate > 0 ? IN_FLIGHT_OPEN_DEFAULT : IN_FLIGHT_DEFAULT;
        }
        if (args->workload.trades == 0) {
            args->workload.trades =
                args->count > 0 && args->count <= TRADES_MAX ? (unsigned)args->count : TRADES_DEFAULT;
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int out_of_memory(void)
{
    fputs("tradebook bench: memory is exhausted.\n", stderr);
    return TBK_EXIT_FAILURE;
}

/* Whether any call will be a get, which needs to know the ids. */
static bool needs_ids(const struct bench_args *args)
{
    for (unsigned i = 0; i < args->plan.op_count; i++) {
        if (args->plan.ops[i] == TBK_BENCH_GET) {
            return true;
        }
    }
    return args->plan.op_count == 0 && args->mix.weights[TBK_BENCH_GET] > 0;
}

static struct tbk_bench_run_config run_config(const struct bench_args *args)
{
    bool alternates = args->plan.op_count > 0;
    int64_t duration_ms = alternates ? ALTERNATE_DURATION_MS_DEFAULT : DURATION_MS_DEFAULT;
    int64_t warmup_ms = alternates ? ALTERNATE_WARMUP_MS_DEFAULT : WARMUP_MS_DEFAULT;
    if (args->count > 0) {
        warmup_ms = 0;
    }
    return (struct tbk_bench_run_config){
        .client_count = args->connections,
        .mix = args->mix,
        .in_flight = args->in_flight,
        .rate = args->rate,
        .warmup_ms = args->warmup_ms != NOT_GIVEN ? args->warmup_ms : warmup_ms,
        .duration_ms = args->duration_ms != NOT_GIVEN ? args->duration_ms : duration_ms,
        .count = args->count,
        .timeout_ms = args->connection.timeout_ms,
        .seed = args->workload.seed,
        .progress = !args->quiet && isatty(STDERR_FILENO) == 1,
    };
}

/* Runs, prints, and tells of errors. */
static int run(struct bench_args *args, struct tbk_bench_run_config *config, struct tbk_bench_result *result)
{
    const struct tbk_bench_subject subject = {args->connection.address, args->connections, config->workload};
    bool ok;
    if (args->plan.op_count > 0) {
        ok = tbk_bench_alternate(&args->plan, config, result) &&
             tbk_bench_print_alternation(&subject, &args->plan, args->as_json);
        free(args->plan.samples);
    } else {
        ok = tbk_bench_run(config, result) && tbk_bench_print_run(&subject, config, result, args->as_json);
    }
    if (!ok) {
        return out_of_memory();
    }
    if (result->first_error.code != TRADEBOOK_OK) {
        fflush(stdout);
        fputs("tradebook bench: calls failed. The first error:\n", stderr);
        tbk_connection_print_error(&args->connection, &result->first_error);
        return TBK_EXIT_FAILURE;
    }
    return TBK_EXIT_OK;
}

/* Opens the further connections; the first is args->connection's. Answers how
 * many there are then. */
static unsigned open_clients(const struct bench_args *args, struct tradebook_client **clients)
{
    unsigned in_flight = args->in_flight;
    for (unsigned i = 0; i < args->plan.level_count && args->plan.op_count > 0; i++) {
        in_flight = args->plan.levels[i] > in_flight ? args->plan.levels[i] : in_flight;
    }
    const struct tradebook_client_options client_options = {.timeout_ms = args->connection.timeout_ms,
                                                            .in_flight_max = in_flight};
    for (unsigned i = 0; i < args->connections; i++) {
        struct tradebook_error error;
        if (tradebook_client_open(args->connection.address, &client_options, &clients[i], &error) !=
            TRADEBOOK_OK) {
            tbk_connection_print_error(&args->connection, &error);
            return i;
        }
    }
    return args->connections;
}

static int run_with_clients(struct bench_args *args, struct tbk_bench_workload *workload,
                            struct tradebook_client **clients, struct tbk_bench_result *result)
{
    struct tbk_bench_run_config config = run_config(args);
    config.workload = workload;
    config.clients = clients;
    unsigned opened = open_clients(args, clients);
    int exit_status = opened == args->connections ? run(args, &config, result) : TBK_EXIT_FAILURE;
    for (unsigned i = 0; i < opened; i++) {
        tradebook_client_close(clients[i]);
    }
    return exit_status;
}

/* The server must answer before anything is measured. */
static int learn(const struct bench_args *args, struct tbk_bench_workload *workload)
{
    struct tradebook_error error;
    ProtobufCMessage *reply = NULL;
    uint64_t random_state = 0;
    enum tradebook_code code =
        tradebook_call(args->connection.client, tbk_bench_op_method(TBK_BENCH_ECHO),
                       tbk_bench_request(workload, TBK_BENCH_ECHO, NULL, &random_state), NULL, &reply, &error);
    if (code == TRADEBOOK_OK) {
        tradebook_message_free(reply);
        code = needs_ids(args) ? tbk_bench_workload_learn_ids(workload, args->connection.client, &error) : code;
    }
    if (code != TRADEBOOK_OK) {
        tbk_connection_print_error(&args->connection, &error);
        return TBK_EXIT_FAILURE;
    }
    return TBK_EXIT_OK;
}

static int bench(struct bench_args *args)
{
    struct tbk_bench_workload *workload = tbk_bench_workload_create(&args->workload);
    struct tbk_bench_result *result = calloc(1, sizeof *result);
    struct tradebook_client **clients = calloc(args->connections, sizeof(struct tradebook_client *));
    int exit_status;
    if (workload == NULL || result == NULL || clients == NULL) {
        exit_status = out_of_memory();
    } else {
        exit_status = tbk_connection_open(&args->connection);
        if (exit_status == TBK_EXIT_OK) {
            exit_status = learn(args, workload);
        }
        if (exit_status == TBK_EXIT_OK) {
            exit_status = run_with_clients(args, workload, clients, result);
        }
        tbk_connection_close(&args->connection);
    }
    free(clients);
    free(result);
    tbk_bench_workload_destroy(workload);
    return exit_status;
}

int tbk_cli_bench(int argc, char **argv)
{
    static const struct argp_child children[] = {{&tbk_connection_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse_option, NULL, doc, children, NULL, NULL};
    struct bench_args args = {
        .workload = {.echo_bytes = ECHO_BYTES_DEFAULT, .batch_signals = BATCH_DEFAULT, .seed = 1},
        .mix.weights[TBK_BENCH_ECHO] = 1,
        .plan = {.levels = {1, 16, 64, 256}, .level_count = 4, .rounds = 5},
        .connections = 1,
        .duration_ms = NOT_GIVEN,
        .warmup_ms = NOT_GIVEN,
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0) {
        return TBK_EXIT_USAGE;
    }
    return bench(&args);
}
