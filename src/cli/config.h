/*
 * The settings of "tradebook serve". One table in config.c describes all of
 * them; option, environment variable, line of the config file, range and help
 * follow from it. A setting named some-thing is --some-thing on the command line,
 * TRADEBOOK_SOME_THING in the environment and "some-thing = value" in the file;
 * the first of these three that gives it wins, then the default.
 */
#ifndef TBK_CLI_CONFIG_H
#define TBK_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tbk_config_list {
    char **items;
    size_t count;
};

/* Whole numbers are int64_t, so that one setter serves them all. */
struct tbk_config {
    char *db;
    struct tbk_config_list listen;
    struct tbk_config_list events;
    char *http;           /* HOST:PORT or "none" */
    bool http_is_default; /* nobody has asked for it */
    double breakeven_band;
    int64_t readers;
    int64_t contexts;
    int64_t connections;
    int64_t queue;
    int64_t message_bytes;
    int64_t memory_bytes;
    int64_t timeout_default_ms;
    int64_t timeout_max_ms;
    int64_t send_timeout_ms;
    int64_t wal_limit_bytes;
    int64_t request_retention_s;
    int64_t event_retention_s;
    int64_t heartbeat_ms;
    int64_t ipc_mode;
    char *backup_dir; /* NULL: no backups */
    int64_t backup_interval_s;
    int64_t backup_keep;
    int64_t log_level;  /* enum tbk_log_level */
    int64_t log_format; /* enum tbk_log_format */
    int64_t ready_fd;   /* -1: none */
    bool quiet;
    char *config;
};

/* Reads command line, environment and config file. INVALID_ARGUMENT names the
 * setting and where it was given. Wrong options and --help end the process, as
 * with argp. On failure *ret_config is untouched. */
enum tbk_status tbk_config_load(int argc, char **argv, struct tbk_config *ret_config,
                                struct tbk_error *error) TBK_MUST_CHECK;

/* The database of a command besides serve: given, of its --db, when not NULL, else
 * that of the environment, else the default. */
const char *tbk_config_database(const char *given);

void tbk_config_fini(struct tbk_config *config);

#endif
