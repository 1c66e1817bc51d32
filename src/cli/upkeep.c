#include "cli/upkeep.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/timestamp.h"
#include "cli/cell.h"
#include "cli/commands.h"
#include "cli/config.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    NICENESS = 10, /* a server beside this goes first */
    OPTION_DB = 0x200,
    TEXT_BYTES_MAX = 64 * 1024,
};

static const struct argp_option options[] = {
    {"db", OPTION_DB, "PATH", 0,
     "Database: a path or sqlite:///PATH. Default: TRADEBOOK_DB, else DB_URL of the environment, else "
     "tradebook.db "
     "in the working directory",
     0},
    {"quiet", 'q', NULL, 0, "No progress line", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct tbk_upkeep *upkeep = state->input;
    switch (key) {
    case OPTION_DB:
        upkeep->db = argument;
        return 0;
    case 'q':
        upkeep->quiet = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp tbk_upkeep_argp = {.options = options, .parser = parse_option};

enum tbk_status tbk_upkeep_begin(struct tbk_upkeep *upkeep, struct tbk_error *error)
{
    const char *location = NULL;
    setpriority(PRIO_PROCESS, 0, NICENESS);
    tbk_progress_begin(&upkeep->progress, upkeep->quiet);
    upkeep->observer = (struct tbk_upkeep_observer){tbk_progress_observe, &upkeep->progress};
    upkeep->ops = tbk_storage_backend(tbk_config_database(upkeep->db), &location, error);
    if (upkeep->ops == NULL)
        return error->status;
    enum tbk_status status = tbk_schema_create(&upkeep->schema, error);
    upkeep->config = (struct tbk_storage_config){
        .location = location, .schema = upkeep->schema, .busy_timeout_ms = BUSY_TIMEOUT_MS};
    return status;
}

int tbk_upkeep_end(struct tbk_upkeep *upkeep, const char *command, enum tbk_status status,
                   const struct tbk_error *error)
{
    tbk_progress_end(&upkeep->progress);
    tbk_schema_destroy(upkeep->schema);
    if (status == TBK_OK)
        return TBK_EXIT_OK;
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, TEXT_BYTES_MAX);
    fprintf(stderr, "tradebook %s: %s\n", command, tbk_cell_escape(error->message, &text));
    tbk_dynbuf_fini(&text);
    return status == TBK_INVALID_ARGUMENT ? TBK_EXIT_USAGE : TBK_EXIT_FAILURE;
}

double tbk_upkeep_seconds(const struct tbk_upkeep *upkeep)
{
    return (double)(tbk_monotonic_us() - upkeep->progress.begun_us) / 1e6;
}
