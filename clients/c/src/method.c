/*
 * The methods of all services that the protocol files declare, sorted by their
 * full name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "internal.h"
#include "tradebook/v1/admin.pb-c.h"
#include "tradebook/v1/analytics.pb-c.h"
#include "tradebook/v1/event.pb-c.h"
#include "tradebook/v1/model.pb-c.h"
#include "tradebook/v1/pattern.pb-c.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

enum { METHODS_MAX = 128 };

/* A unit test compares this with the compiled protocol files. */
static const ProtobufCServiceDescriptor *const services[] = {
    &grpc__health__v1__health__descriptor,         &tradebook__v1__admin_service__descriptor,
    &tradebook__v1__analytics_service__descriptor, &tradebook__v1__event_service__descriptor,
    &tradebook__v1__model_service__descriptor,     &tradebook__v1__pattern_service__descriptor,
    &tradebook__v1__risk_service__descriptor,      &tradebook__v1__signal_service__descriptor,
    &tradebook__v1__theory_service__descriptor,    &tradebook__v1__trade_service__descriptor,
};

static struct tbk_client_method methods[METHODS_MAX];
static size_t method_count;
static pthread_once_t methods_once = PTHREAD_ONCE_INIT;

static int compare_methods(const void *left, const void *right)
{
    return strcmp(((const struct tbk_client_method *)left)->name, ((const struct tbk_client_method *)right)->name);
}

static void collect_methods(void)
{
    for (size_t s = 0; s < sizeof services / sizeof *services; s++) {
        for (unsigned m = 0; m < services[s]->n_methods && method_count < METHODS_MAX; m++) {
            struct tbk_client_method *method = &methods[method_count++];
            method->descriptor = &services[s]->methods[m];
            snprintf(method->name, sizeof method->name, "/%s/%s", services[s]->name, method->descriptor->name);
        }
    }
    qsort(methods, method_count, sizeof *methods, compare_methods);
}

static int compare_name(const void *name, const void *method)
{
    return strcmp(name, ((const struct tbk_client_method *)method)->name);
}

const struct tbk_client_method *tbk_client_method_find(const char *name)
{
    pthread_once(&methods_once, collect_methods);
    return bsearch(name, methods, method_count, sizeof *methods, compare_name);
}

const ProtobufCMethodDescriptor *tradebook_method(const char *method)
{
    const struct tbk_client_method *found = tbk_client_method_find(method);
    return found != NULL ? found->descriptor : NULL;
}
