/*
 * The whole server without sockets: dispatch, services, analytics and a database
 * file in memory. Every call is checked: one reply, which can be read, with a
 * status that a client may cause; what was refused changed nothing. One thread.
 */
#ifndef TBK_FUZZ_SERVER_H
#define TBK_FUZZ_SERVER_H

#include "services/service.h"
#include "support.h"
#include "tradebook/v1/rpc.pb-c.h"

/* Starts on an empty database, or anew. The first call arranges for the end. */
void fuzz_server_restart(void);
/* Stops; the database stays at fuzz_server_database(). Does nothing when stopped. */
void fuzz_server_stop(void);
const char *fuzz_server_database(void);
const struct tbk_service_context *fuzz_server_context(void);

/* Submits one envelope and waits for the reply. Answers its status; *ret_reply, unless
 * NULL, is the caller's to free with free(). */
Tradebook__V1__Code fuzz_server_call(const uint8_t *data, size_t size, uint8_t **ret_reply, size_t *ret_size);

/* Checks that Health is served. */
void fuzz_server_check_health(void);
/* Checks the database: integrity, references, and what must hold between rows. */
void fuzz_server_audit(void);

#endif
