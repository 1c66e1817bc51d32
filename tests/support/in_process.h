/*
 * The server without its transport, in this process: storage, analytics and
 * dispatch on one database file. Threads: start and stop from one; dispatch as its
 * header says.
 */
#ifndef TBK_TESTS_IN_PROCESS_H
#define TBK_TESTS_IN_PROCESS_H

#include "dispatch/dispatch.h"

struct in_process {
    struct tbk_storage *storage;
    struct tbk_service_context context;
    struct tbk_dispatch *dispatch; /* NULL: not started */
};

/* Settings without context; the schema outlives the server. After a failure there is
 * nothing to do but to end the process. */
enum tbk_status in_process_start(struct in_process *server, const struct tbk_schema *schema, const char *path,
                                 struct tbk_dispatch_config settings, struct tbk_error *error) TBK_MUST_CHECK;
void in_process_stop(struct in_process *server);

#endif
