/*
 * Services: what each RPC does, between dispatch (threads, envelopes) and
 * storage (rows). A method is one line in methods.c and one or two functions.
 *
 *   check  looks at the request alone; runs on the transport's thread, must not
 *          touch storage; reports every violation.
 *   run    does the work. INLINE methods run where check ran, without a session;
 *          READ methods on a reader thread; WRITE methods on the writer thread,
 *          inside its transaction.
 *
 * A handler returns a status and never replies itself; on failure its effects
 * are undone by the caller.
 */
#ifndef TBK_SERVICES_SERVICE_H
#define TBK_SERVICES_SERVICE_H

#include <protobuf-c/protobuf-c.h>

#include "analytics/analytics.h"
#include "base/arena.h"
#include "base/error.h"
#include "schema/schema.h"
#include "storage/storage.h"

enum { TBK_BATCH_ITEMS_MAX = 1000 };

/* What all calls share; immutable while serving. */
struct tbk_service_context {
    const struct tbk_schema *schema;
    const struct tbk_storage_ops *ops;
    struct tbk_storage *storage;
    struct tbk_analytics *analytics;
    uint64_t secret; /* of page tokens */
    const char *transport_version;
    double breakeven_band_percent;
    int64_t started_at_us;           /* wall clock */
    int64_t started_at_monotonic_us; /* for uptime */
};

/* A READ method that has found nothing yet may ask to run again when there are new
 * events. Its response is then kept and given in the end if none comes. */
struct tbk_wait {
    int64_t ms;        /* since the request was received; 0: answer at once */
    int64_t seen;      /* the newest event when it ran */
    const char *topic; /* only for events whose topic begins so; in the arena */
};

/* One call in progress. */
struct tbk_call {
    const struct tbk_service_context *context;
    struct tbk_arena *arena;
    struct tbk_session *session; /* NULL for INLINE methods */
    int64_t now_us;              /* wall clock when the request was received */
    int64_t deadline_us;         /* monotonic; nobody waits for the answer after it */
    const char *client;          /* identity of the caller */
    void *prepared;              /* what check leaves for run; in the arena */
    struct tbk_wait wait;        /* set by run of a READ method */
    struct tbk_error *error;
};

struct tbk_method;

typedef enum tbk_status tbk_check(struct tbk_call *call, const struct tbk_method *method,
                                  ProtobufCMessage *request);
typedef enum tbk_status tbk_run(struct tbk_call *call, const struct tbk_method *method, ProtobufCMessage *request,
                                ProtobufCMessage **ret_response);

enum tbk_method_kind { TBK_METHOD_INLINE, TBK_METHOD_READ, TBK_METHOD_WRITE };

struct tbk_method {
    char name[96];   /* "/tradebook.v1.SignalService/CreateSignal" */
    size_t position; /* in the table, from 0 */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    enum tbk_method_kind kind;
    bool single_statement;         /* WRITE: a failed run leaves no partial effect by itself */
    bool is_point_read;            /* READ: one record by a unique column, always quick */
    const struct tbk_table *table; /* of resource methods */
    tbk_check *check;              /* NULL: nothing to check */
    tbk_run *run;                  /* NULL: declared, not implemented */
};

struct tbk_methods;

/* All methods of all services that the protocol files declare. */
enum tbk_status tbk_methods_create(const struct tbk_schema *schema, struct tbk_methods **ret_methods,
                                   struct tbk_error *error) TBK_MUST_CHECK;
void tbk_methods_destroy(struct tbk_methods *methods);

size_t tbk_methods_count(const struct tbk_methods *methods);
/* By position. */
const struct tbk_method *tbk_methods_at(const struct tbk_methods *methods, size_t position);
/* NULL when there is none of that name. */
const struct tbk_method *tbk_methods_find(const struct tbk_methods *methods, const char *name);
/* Whether any service has this full name, for health checks. */
bool tbk_service_known(const char *name);

#endif
