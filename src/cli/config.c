#include "cli/config.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/address.h"
#include "cli/config_lines.h"
#include "cli/suggest.h"

enum kind { KIND_TEXT, KIND_LIST, KIND_WHOLE, KIND_OCTAL, KIND_REAL, KIND_CHOICE, KIND_FLAG };

/* One setting. min and max bound numbers; choices end with NULL. */
struct setting {
    const char *name;
    const char *metavar;
    enum kind kind;
    size_t offset; /* in struct tbk_config */
    double min;
    double max;
    const char *const *choices;
    const char *preset; /* NULL: none, or set by add_default_addresses */
    const char *help;
};

static const char *const log_levels[] = {"debug", "info", "warning", "error", "off", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

#define FIELD(name) offsetof(struct tbk_config, name)

static const struct setting settings[] = {
    {"db", "PATH", KIND_TEXT, FIELD(db), 0, 0, NULL, "tradebook.db",
     "Database: a path or sqlite:///PATH. Created when it does not exist"},
    {"listen", "URL", KIND_LIST, FIELD(listen), 0, 0, NULL, NULL,
     "Address to serve: tcp://HOST:PORT (port 0 picks one), ipc:///PATH or ws://HOST:PORT/PATH. May be given "
     "several times, or as a list with commas. Default: " TBK_DEFAULT_TCP_URL " and the ipc socket of this user"},
    {"events", "URL", KIND_LIST, FIELD(events), 0, 0, NULL, TBK_DEFAULT_EVENTS_URL,
     "Address to publish events at; as for --listen"},
    {"http", "HOST:PORT", KIND_TEXT, FIELD(http), 0, 0, NULL, TBK_DEFAULT_HTTP_ADDRESS,
     "Address of /metrics, /healthz and /readyz; none: they are not served. Without this option the server also "
     "starts when the default is in use"},
    {"breakeven-band", "PERCENT", KIND_REAL, FIELD(breakeven_band), 0, 100, NULL, "0",
     "Trades that end within plus or minus PERCENT count as breakeven"},
    {"readers", "N", KIND_WHOLE, FIELD(readers), 1, 64, NULL, "2", "Threads that read the database"},
    {"contexts", "N", KIND_WHOLE, FIELD(contexts), 1, 16384, NULL, "1024", "Requests in flight"},
    {"connections", "N", KIND_WHOLE, FIELD(connections), 1, 1000000, NULL, "1024",
     "Connections, of --listen and of --events each; further ones are closed at once"},
    {"queue", "N", KIND_WHOLE, FIELD(queue), 1, 1000000, NULL, "512",
     "Requests that wait, for readers and for the writer each; further ones answer RESOURCE_EXHAUSTED"},
    {"message-bytes", "BYTES", KIND_WHOLE, FIELD(message_bytes), 1024, 64 << 20, NULL, "1048576",
     "Largest request; a larger one answers RESOURCE_EXHAUSTED, one above twice this closes the connection"},
    {"memory", "BYTES", KIND_WHOLE, FIELD(memory_bytes), 1 << 20, 1e15, NULL, "268435456",
     "Memory of all requests under way, small ones aside; further large ones answer RESOURCE_EXHAUSTED. At least "
     "what one request may need"},
    {"timeout-default", "MS", KIND_WHOLE, FIELD(timeout_default_ms), 1, 86400000, NULL, "10000",
     "Time of a request that gives none"},
    {"timeout-max", "MS", KIND_WHOLE, FIELD(timeout_max_ms), 1, 86400000, NULL, "300000",
     "Longest time of a request; more is taken as this"},
    {"send-timeout", "MS", KIND_WHOLE, FIELD(send_timeout_ms), 10, 60000, NULL, "4000",
     "A client that does not take its reply for so long is disconnected"},
    {"wal-limit", "BYTES", KIND_WHOLE, FIELD(wal_limit_bytes), 1 << 20, 1e15, NULL, "4294967296",
     "Largest write-ahead log. It grows while another program keeps a snapshot of the database; beyond this, "
     "writes "
     "answer RESOURCE_EXHAUSTED"},
    {"request-retention", "SECONDS", KIND_WHOLE, FIELD(request_retention_s), 1, 31536000, NULL, "86400",
     "How long the answer to a request id is kept for retries"},
    {"event-retention", "SECONDS", KIND_WHOLE, FIELD(event_retention_s), 1, 3153600000, NULL, "2592000",
     "How long events are kept for subscribers to read again"},
    {"heartbeat-ms", "MS", KIND_WHOLE, FIELD(heartbeat_ms), 10, 60000, NULL, "1000",
     "How often subscribers are told the newest event's number"},
    {"backup-dir", "FOLDER", KIND_TEXT, FIELD(backup_dir), 0, 0, NULL, NULL,
     "Make backups in FOLDER, which belongs to this database alone. Default: none are made"},
    {"backup-interval", "SECONDS", KIND_WHOLE, FIELD(backup_interval_s), 1, 31536000, NULL, "86400",
     "Time from one backup to the next"},
    {"backup-keep", "N", KIND_WHOLE, FIELD(backup_keep), 1, 100000, NULL, "7",
     "Backups to keep; after each new one the oldest beyond these are removed"},
    {"ipc-mode", "MODE", KIND_OCTAL, FIELD(ipc_mode), 0, 0777, NULL, "0600", "Permissions of ipc sockets"},
    {"log-level", "LEVEL", KIND_CHOICE, FIELD(log_level), 0, 0, log_levels, "info",
     "debug, info, warning, error or off"},
    {"log-format", "FORMAT", KIND_CHOICE, FIELD(log_format), 0, 0, log_formats, "text", "text or json"},
    {"ready-fd", "FD", KIND_WHOLE, FIELD(ready_fd), 1, 1 << 20, NULL, NULL,
     "When serving, write \"ready\" and the addresses to this descriptor, which is not 2, and close it"},
    {"quiet", NULL, KIND_FLAG, FIELD(quiet), 0, 0, NULL, NULL, "Log warnings and errors only"},
    {"config", "FILE", KIND_TEXT, FIELD(config), 0, 0, NULL, NULL, "Read settings from FILE"},
};

enum {
    SETTING_COUNT = sizeof settings / sizeof settings[0],
    ENVIRONMENT_NAME_BYTES_MAX = 64,
    ORIGIN_BYTES_MAX = 256,
    FIRST_KEY = 1000, /* of argp options; no short ones */
};

/* Where values come from, the weakest first. */
enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

struct loader {
    struct tbk_config *config;
    enum source sources[SETTING_COUNT]; /* of what the config holds now */
    /* What the command line says, applied last. */
    struct argument {
        size_t setting;
        const char *value;
    } * arguments;
    size_t argument_count;
    struct tbk_config_lines lines; /* of the file */
    int given_at[SETTING_COUNT];   /* the line that gives it; 0: none does */
    int refused_at;                /* the line that error is about */
    struct tbk_error *error;
};

static void *field_of(struct tbk_config *config, const struct setting *setting)
{
    return (char *)config + setting->offset;
}

static enum tbk_status refuse(struct loader *loader, const char *origin, const char *value, const char *expected)
{
    return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "%s: \"%s\" is not %s", origin, value, expected);
}

static enum tbk_status out_of_memory(struct loader *loader)
{
    return tbk_error_set(loader->error, TBK_RESOURCE_EXHAUSTED, "out of memory while reading the settings");
}

static enum tbk_status set_whole(struct loader *loader, const struct setting *setting, const char *value,
                                 const char *origin)
{
    int base = setting->kind == KIND_OCTAL ? 8 : 10;
    char *end = NULL;
    errno = 0;
    long long number = isdigit((unsigned char)value[0]) ? strtoll(value, &end, base) : 0;
    if (end == NULL || *end != '\0' || errno != 0 || (double)number < setting->min ||
        (double)number > setting->max) {
        char expected[96];
        snprintf(expected, sizeof expected,
                 base == 8 ? "an octal number from %.0f to 0777" : "a whole number from %.0f to %.0f",
                 setting->min, setting->max);
        return refuse(loader, origin, value, expected);
    }
    *(int64_t *)field_of(loader->config, setting) = number;
    return TBK_OK;
}

static enum tbk_status set_real(struct loader *loader, const struct setting *setting, const char *value,
                                const char *origin)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(number) || number < setting->min || number > setting->max) {
        char expected[96];
        snprintf(expected, sizeof expected, "a number from %g to %g", setting->min, setting->max);
        return refuse(loader, origin, value, expected);
    }
    *(double *)field_of(loader->config, setting) = number;
    return TBK_OK;
}

static enum tbk_status set_choice(struct loader *loader, const struct setting *setting, const char *value,
                                  const char *origin)
{
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], value) == 0) {
            *(int64_t *)field_of(loader->config, setting) = i;
            return TBK_OK;
        }
    }
    return refuse(loader, origin, value, setting->help);
}

static enum tbk_status set_flag(struct loader *loader, const struct setting *setting, const char *value,
                                const char *origin)
{
    bool yes = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "1") == 0;
    bool no = strcmp(value, "false") == 0 || strcmp(value, "no") == 0 || strcmp(value, "0") == 0;
    if (!yes && !no)
        return refuse(loader, origin, value, "true or false");
    *(bool *)field_of(loader->config, setting) = yes;
    return TBK_OK;
}

static enum tbk_status set_text(struct loader *loader, const struct setting *setting, const char *value,
                                const char *origin)
{
    if (value[0] == '\0')
        return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "%s: the value is empty", origin);
    char *copy = strdup(value);
    if (copy == NULL)
        return out_of_memory(loader);
    char **field = field_of(loader->config, setting);
    free(*field);
    *field = copy;
    return TBK_OK;
}

static void list_clear(struct tbk_config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct tbk_config_list){0};
}

static bool list_add(struct tbk_config_list *list, const char *text, size_t length)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof items[0]);
    if (items == NULL)
        return false;
    list->items = items;
    items[list->count] = strndup(text, length);
    return items[list->count] != NULL && ++list->count > 0;
}

/* Adds the parts between commas; blanks around them do not count. */
static enum tbk_status set_list(struct loader *loader, const struct setting *setting, const char *value,
                                const char *origin)
{
    struct tbk_config_list *list = field_of(loader->config, setting);
    for (const char *part = value;; part++) {
        part += strspn(part, " \t");
        size_t whole = strcspn(part, ",");
        size_t length = whole;
        while (length > 0 && strchr(" \t", part[length - 1]) != NULL)
            length--;
        if (length == 0)
            return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "%s: \"%s\" holds an empty entry", origin,
                                 value);
        if (!list_add(list, part, length))
            return out_of_memory(loader);
        part += whole;
        if (*part == '\0')
            return TBK_OK;
    }
}

/* Sets one setting. A list given by a stronger source replaces, given again by
 * the same one grows. */
static enum tbk_status apply(struct loader *loader, size_t index, const char *value, enum source source,
                             const char *origin)
{
    const struct setting *setting = &settings[index];
    if (setting->kind == KIND_LIST && loader->sources[index] != source)
        list_clear(field_of(loader->config, setting));
    loader->sources[index] = source;
    switch (setting->kind) {
    case KIND_TEXT:
        return set_text(loader, setting, value, origin);
    case KIND_LIST:
        return set_list(loader, setting, value, origin);
    case KIND_WHOLE:
    case KIND_OCTAL:
        return set_whole(loader, setting, value, origin);
    case KIND_REAL:
        return set_real(loader, setting, value, origin);
    case KIND_CHOICE:
        return set_choice(loader, setting, value, origin);
    case KIND_FLAG:
        return set_flag(loader, setting, value, origin);
    }
    return TBK_OK;
}

static enum tbk_status apply_defaults(struct loader *loader)
{
    loader->config->ready_fd = -1;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].preset == NULL)
            continue;
        enum tbk_status status = apply(loader, i, settings[i].preset, SOURCE_DEFAULT, settings[i].name);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static enum tbk_status add_default_addresses(struct loader *loader)
{
    struct tbk_config_list *list = &loader->config->listen;
    if (list->count > 0)
        return TBK_OK;
    char ipc[TBK_ADDRESS_BYTES_MAX];
    tbk_default_ipc_url(ipc);
    bool added =
        list_add(list, TBK_DEFAULT_TCP_URL, strlen(TBK_DEFAULT_TCP_URL)) && list_add(list, ipc, strlen(ipc));
    return added ? TBK_OK : out_of_memory(loader);
}

static size_t find_setting(const char *name)
{
    size_t i = 0;
    while (i < SETTING_COUNT && strcmp(settings[i].name, name) != 0)
        i++;
    return i;
}

/* "send-timeout" is TRADEBOOK_SEND_TIMEOUT. */
static void environment_name(const struct setting *setting, char out[ENVIRONMENT_NAME_BYTES_MAX])
{
    snprintf(out, ENVIRONMENT_NAME_BYTES_MAX, "TRADEBOOK_%s", setting->name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* A variable that is set but empty counts as not set, as compose files make it. */
static const char *read_environment(const struct setting *setting, char name[ENVIRONMENT_NAME_BYTES_MAX])
{
    environment_name(setting, name);
    const char *value = getenv(name);
    if ((value == NULL || value[0] == '\0') && strcmp(setting->name, "db") == 0) {
        snprintf(name, ENVIRONMENT_NAME_BYTES_MAX, "DB_URL"); /* of the users' .env */
        value = getenv(name);
    }
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum tbk_status apply_environment(struct loader *loader)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char name[ENVIRONMENT_NAME_BYTES_MAX];
        const char *value = read_environment(&settings[i], name);
        if (value == NULL)
            continue;
        enum tbk_status status = apply(loader, i, value, SOURCE_ENVIRONMENT, name);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static enum tbk_status no_setting(struct loader *loader, const char *name)
{
    const char *names[SETTING_COUNT];
    for (size_t i = 0; i < SETTING_COUNT; i++)
        names[i] = settings[i].name;
    const char *nearest = tbk_name_nearest(name, names, SETTING_COUNT);
    return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "there is no setting \"%s\"%s%s%s", name,
                         nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                         nearest != NULL ? "\"?" : "");
}

static enum tbk_status apply_line(struct loader *loader, const char *section, const char *name, const char *value)
{
    size_t index = find_setting(name);
    if (section[0] != '\0' && strcmp(section, "serve") != 0)
        return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT,
                             "there is no section [%s]; settings stand in [serve] or before any section", section);
    if (index == SETTING_COUNT || strcmp(name, "config") == 0)
        return no_setting(loader, name);
    if (loader->given_at[index] != 0 && settings[index].kind != KIND_LIST)
        return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "%s is given in line %d already", name,
                             loader->given_at[index]);
    loader->given_at[index] = loader->lines.number;
    return apply(loader, index, value, SOURCE_FILE, name);
}

/* Called by libinih for each "name = value"; 0 marks the line as wrong. It goes
 * on after a wrong line, hence the first test. */
static int take_line(void *argument, const char *section, const char *name, const char *value)
{
    struct loader *loader = argument;
    if (loader->error->status != TBK_OK)
        return 0;
    if (apply_line(loader, section, name, value) == TBK_OK)
        return 1;
    loader->refused_at = loader->lines.number;
    return 0;
}

/* The file is the one setting that is looked up before the others. */
static const char *find_file(const struct loader *loader)
{
    char name[ENVIRONMENT_NAME_BYTES_MAX];
    size_t config = find_setting("config");
    const char *path = read_environment(&settings[config], name);
    for (size_t i = 0; i < loader->argument_count; i++) {
        if (loader->arguments[i].setting == config)
            path = loader->arguments[i].value;
    }
    return path;
}

static enum tbk_status unreadable(struct loader *loader, const char *path, int reason)
{
    return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "--config: cannot read %s: %s%s", path,
                         strerror(reason),
                         reason == EISDIR ? "; docker makes one where the file of a bind mount is missing" : "");
}

static enum tbk_status parse_file(struct loader *loader, const char *path)
{
    struct tbk_config_lines *lines = &loader->lines;
    errno = 0;
    int line = ini_parse_stream(tbk_config_lines_read, lines, take_line, loader);
    if (ferror(lines->stream) || line < 0)
        return unreadable(loader, path, errno != 0 ? errno : ENOMEM);
    if (line == 0 && !lines->too_long)
        return TBK_OK;
    char reason[TBK_ERROR_MESSAGE_BYTES_MAX] = "expected a line of the form name = value";
    if (line == 0) {
        line = lines->number;
        snprintf(reason, sizeof reason, "the line is too long");
    } else if (line == loader->refused_at) {
        snprintf(reason, sizeof reason, "%s", loader->error->message);
    }
    return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT, "%s:%d: %s", path, line, reason);
}

static enum tbk_status apply_file(struct loader *loader)
{
    const char *path = find_file(loader);
    if (path == NULL)
        return TBK_OK;
    loader->lines.stream = fopen(path, "re");
    if (loader->lines.stream == NULL)
        return unreadable(loader, path, errno);
    const enum tbk_status status = parse_file(loader, path);
    free(loader->lines.text);
    fclose(loader->lines.stream);
    return status;
}

static enum tbk_status apply_arguments(struct loader *loader)
{
    for (size_t i = 0; i < loader->argument_count; i++) {
        const struct argument *argument = &loader->arguments[i];
        char origin[ORIGIN_BYTES_MAX];
        snprintf(origin, sizeof origin, "--%s", settings[argument->setting].name);
        enum tbk_status status = apply(loader, argument->setting, argument->value, SOURCE_COMMAND_LINE, origin);
        if (status != TBK_OK)
            return status;
    }
    return TBK_OK;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct loader *loader = state->input;
    if (key == ARGP_KEY_ARG) {
        argp_error(state, "\"%s\" is one argument too many.", argument);
        return 0;
    }
    if (key < FIRST_KEY || key >= FIRST_KEY + SETTING_COUNT)
        return ARGP_ERR_UNKNOWN;
    struct argument *next = &loader->arguments[loader->argument_count++];
    next->setting = (size_t)(key - FIRST_KEY);
    next->value = argument != NULL ? argument : "true"; /* of a flag */
    return 0;
}

static const char doc[] =
    "Run the server."
    "\v"
    "Each option can also be set as TRADEBOOK_NAME in the environment (TRADEBOOK_SEND_TIMEOUT=500; DB_URL is "
    "read when TRADEBOOK_DB is not set) and as \"name = value\" in the file of --config. The command line wins, "
    "then the environment, then the file. There each setting is given once, but for lists; \"#\" or \";\", at the "
    "beginning of a line or after a blank, begins a comment.\n\n"
    "SIGTERM and SIGINT end the server after what it was doing; a second one ends it at once. Exit status: 0 "
    "ended "
    "as asked, 1 could not start or run, 2 wrong option or setting, 75 start me again.";

/* Help text of one option, with its default. NULL when memory is exhausted. */
static char *describe(const struct setting *setting)
{
    char *text = NULL;
    int length = setting->preset != NULL ? asprintf(&text, "%s (default %s)", setting->help, setting->preset)
                                         : asprintf(&text, "%s", setting->help);
    return length < 0 ? NULL : text;
}

/* argp options from the table. */
static enum tbk_status parse_command_line(struct loader *loader, int argc, char **argv)
{
    struct argp_option options[SETTING_COUNT + 1] = {0};
    bool complete = true;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        options[i] = (struct argp_option){.name = settings[i].name,
                                          .key = FIRST_KEY + (int)i,
                                          .arg = settings[i].metavar,
                                          .doc = describe(&settings[i])};
        complete = complete && options[i].doc != NULL;
    }
    const struct argp argp = {options, parse_option, NULL, doc, NULL, NULL, NULL};
    error_t failure = complete ? argp_parse(&argp, argc, argv, 0, NULL, loader) : ENOMEM;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        free((char *)options[i].doc);
    if (failure != 0)
        return tbk_error_set(loader->error, failure == ENOMEM ? TBK_RESOURCE_EXHAUSTED : TBK_INVALID_ARGUMENT,
                             "cannot read the command line: %s", strerror(failure));
    return TBK_OK;
}

static enum tbk_status check_together(struct loader *loader)
{
    const struct tbk_config *config = loader->config;
    if (config->timeout_default_ms > config->timeout_max_ms)
        return tbk_error_set(loader->error, TBK_INVALID_ARGUMENT,
                             "timeout-default (%lld) is larger than timeout-max (%lld)",
                             (long long)config->timeout_default_ms, (long long)config->timeout_max_ms);
    return TBK_OK;
}

static enum tbk_status load(struct loader *loader, int argc, char **argv)
{
    enum tbk_status status = parse_command_line(loader, argc, argv);
    if (status == TBK_OK)
        status = apply_defaults(loader);
    if (status == TBK_OK)
        status = apply_file(loader);
    if (status == TBK_OK)
        status = apply_environment(loader);
    if (status == TBK_OK)
        status = apply_arguments(loader);
    if (status == TBK_OK)
        status = add_default_addresses(loader);
    loader->config->http_is_default = loader->sources[find_setting("http")] == SOURCE_DEFAULT;
    return status == TBK_OK ? check_together(loader) : status;
}

enum tbk_status tbk_config_load(int argc, char **argv, struct tbk_config *ret_config, struct tbk_error *error)
{
    struct tbk_config config = {0};
    struct loader loader = {.config = &config, .error = error};
    loader.arguments = calloc((size_t)argc + 1, sizeof loader.arguments[0]);
    enum tbk_status status = loader.arguments != NULL ? load(&loader, argc, argv) : out_of_memory(&loader);
    free(loader.arguments);
    if (status != TBK_OK) {
        tbk_config_fini(&config);
        return status;
    }
    *ret_config = config;
    return TBK_OK;
}

const char *tbk_config_database(const char *given)
{
    char name[ENVIRONMENT_NAME_BYTES_MAX];
    const struct setting *db = &settings[find_setting("db")];
    const char *value = given != NULL ? given : read_environment(db, name);
    return value != NULL ? value : db->preset;
}

void tbk_config_fini(struct tbk_config *config)
{
    free(config->db);
    free(config->config);
    free(config->backup_dir);
    free(config->http);
    list_clear(&config->listen);
    list_clear(&config->events);
}
