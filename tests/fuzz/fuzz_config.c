/*
 * The settings of "tradebook serve", from a file, the environment and the command
 * line. The input is a file's text up to a byte 0xFF, then pairs of a byte and a text
 * up to the next 0xFF: which setting is given where, and its value. What is accepted
 * is in range; what is refused has a sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/config.h"
#include "http/listen.h"
#include "support.h"

enum { ARGUMENTS_MAX = 8, OPTION_BIT = 0x80 };

static const char *const names[] = {
    "db",
    "listen",
    "events",
    "breakeven-band",
    "readers",
    "contexts",
    "connections",
    "queue",
    "message-bytes",
    "timeout-default",
    "timeout-max",
    "send-timeout",
    "ipc-mode",
    "heartbeat-ms",
    "log-level",
    "request-retention",
    "event-retention",
    "log-format",
    "ready-fd",
    "quiet",
    "config",
    "http",
};

enum { NAME_COUNT = sizeof names / sizeof names[0] };

/* A file that only this process sees. */
static const char *file_of(const char *text)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("tradebook.conf", 0);
        FUZZ_CHECK(fd >= 0, "memfd_create failed");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    const ssize_t length = (ssize_t)strlen(text);
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length,
               "the file cannot be written");
    return path;
}

static void environment_name(const char *name, char out[64])
{
    snprintf(out, 64, "TRADEBOOK_%s", name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
}

static void clear_environment(void)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        char name[64];
        environment_name(names[i], name);
        unsetenv(name);
    }
    unsetenv("DB_URL");
}

static void check_list(const struct tbk_config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        FUZZ_CHECK(list->items[i][0] != '\0', "a list holds an empty entry");
}

static void check_http(const char *address)
{
    struct tbk_error error;
    tbk_error_init(&error);
    FUZZ_CHECK(address != NULL && address[0] != '\0', "http is empty");
    FUZZ_CHECK(tbk_http_check_address(address, &error) == TBK_OK || error.message[0] != '\0',
               "an address is refused without a sentence");
}

static void check_range(const char *name, int64_t value, int64_t min, int64_t max)
{
    FUZZ_CHECK(value >= min && value <= max, "%s is %lld", name, (long long)value);
}

static void check(const struct tbk_config *config)
{
    FUZZ_CHECK(config->db != NULL && config->db[0] != '\0', "there is no database");
    FUZZ_CHECK(config->listen.count > 0 && config->events.count > 0, "there is no address");
    check_list(&config->listen);
    check_list(&config->events);
    check_http(config->http);
    FUZZ_CHECK(config->breakeven_band >= 0 && config->breakeven_band <= 100, "breakeven-band is %g",
               config->breakeven_band);
    check_range("readers", config->readers, 1, 64);
    check_range("contexts", config->contexts, 1, 16384);
    check_range("connections", config->connections, 1, 1000000);
    check_range("queue", config->queue, 1, 1000000);
    check_range("message-bytes", config->message_bytes, 1024, 64 << 20);
    check_range("timeout-max", config->timeout_max_ms, 1, 86400000);
    check_range("timeout-default", config->timeout_default_ms, 1, config->timeout_max_ms);
    check_range("send-timeout", config->send_timeout_ms, 10, 60000);
    check_range("request-retention", config->request_retention_s, 1, 31536000);
    check_range("event-retention", config->event_retention_s, 1, 3153600000);
    check_range("heartbeat-ms", config->heartbeat_ms, 10, 60000);
    check_range("wal-limit", config->wal_limit_bytes, 1 << 20, 1000000000000000);
    check_range("backup-interval", config->backup_interval_s, 1, 31536000);
    check_range("backup-keep", config->backup_keep, 1, 100000);
    check_range("ipc-mode", config->ipc_mode, 0, 0777);
    check_range("log-level", config->log_level, TBK_LOG_DEBUG, TBK_LOG_OFF);
    check_range("log-format", config->log_format, TBK_LOG_TEXT, TBK_LOG_JSON);
    check_range("ready-fd", config->ready_fd, -1, 1 << 20);
}

/* Gives a setting as an option, which the command line then has, or in the
 * environment. Wrong options would end the process, as argp does; wrong values not. */
static void give(unsigned where, const char *value, char **argv, int *argc)
{
    char name[64];
    const char *setting = names[where % OPTION_BIT % NAME_COUNT];
    if (where < OPTION_BIT) {
        environment_name(setting, name);
        setenv(where % OPTION_BIT == OPTION_BIT - 1 ? "DB_URL" : name, value, 1);
    } else if (*argc < ARGUMENTS_MAX && strcmp(setting, "quiet") != 0) {
        FUZZ_CHECK(asprintf(&argv[*argc], "--%s=%s", setting, value) > 0, "no memory");
        ++*argc;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *argv[ARGUMENTS_MAX + 2] = {"serve"};
    int argc = 1;
    struct tbk_config config = {0};
    struct tbk_error error;
    tbk_error_init(&error);
    clear_environment();
    char *text = fuzz_take_text(&input);
    setenv("TRADEBOOK_CONFIG", file_of(text), 1);
    free(text);
    while (input.left > 0) {
        const unsigned where = fuzz_take_byte(&input);
        char *value = fuzz_take_text(&input);
        give(where, value, argv, &argc);
        free(value);
    }
    const enum tbk_status status = tbk_config_load(argc, argv, &config, &error);
    if (status == TBK_OK) {
        check(&config);
        tbk_config_fini(&config);
    } else {
        FUZZ_CHECK(status == TBK_INVALID_ARGUMENT && error.message[0] != '\0', "status %d: %s", (int)status,
                   error.message);
        FUZZ_CHECK(tbk_utf8_valid(error.message, strlen(error.message)), "a sentence is not UTF-8");
    }
    while (--argc > 0)
        free(argv[argc]);
    return 0;
}
