/* The table of methods: what is declared in the protocol files, joined with what
 * is implemented here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "services/handlers.h"
#include "services/resource.h"
#include "tradebook/v1/admin.pb-c.h"
#include "tradebook/v1/analytics.pb-c.h"
#include "tradebook/v1/event.pb-c.h"
#include "tradebook/v1/model.pb-c.h"
#include "tradebook/v1/pattern.pb-c.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"
#include "tradebook/v1/theory.pb-c.h"
#include "tradebook/v1/trade.pb-c.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &tradebook__v1__signal_service__descriptor,    &tradebook__v1__trade_service__descriptor,
    &tradebook__v1__theory_service__descriptor,    &tradebook__v1__pattern_service__descriptor,
    &tradebook__v1__risk_service__descriptor,      &tradebook__v1__model_service__descriptor,
    &tradebook__v1__analytics_service__descriptor, &tradebook__v1__event_service__descriptor,
    &tradebook__v1__admin_service__descriptor,     &grpc__health__v1__health__descriptor,
};

enum { SERVICE_COUNT = sizeof services / sizeof services[0] };

/* What implements a method. */
struct binding {
    const char *method;
    tbk_check *check;
    tbk_run *run;
    int table;             /* enum tbk_table_id, or NO_TABLE */
    bool single_statement; /* see struct tbk_method */
    bool is_inline;
};

enum { NO_TABLE = -1 };

#define CREATE(name, id)                                                                                          \
    {                                                                                                             \
        name, tbk_resource_check_create, tbk_resource_run_create, id, true, false                                 \
    }
#define BATCH_CREATE(name, id)                                                                                    \
    {                                                                                                             \
        name, tbk_resource_check_batch_create, tbk_resource_run_batch_create, id, false, false                    \
    }
#define GET(name, id)                                                                                             \
    {                                                                                                             \
        name, tbk_resource_check_get, tbk_resource_run_get, id, false, false                                      \
    }
#define LIST(name, id)                                                                                            \
    {                                                                                                             \
        name, tbk_resource_check_list, tbk_resource_run_list, id, false, false                                    \
    }
#define UPDATE(name, id)                                                                                          \
    {                                                                                                             \
        name, tbk_resource_check_update, tbk_resource_run_update, id, true, false                                 \
    }
#define INLINE(name, run)                                                                                         \
    {                                                                                                             \
        name, NULL, run, NO_TABLE, false, true                                                                    \
    }
#define RUN(name, run)                                                                                            \
    {                                                                                                             \
        name, NULL, run, NO_TABLE, false, false                                                                   \
    }
#define CHECK_AND_RUN(name, check, run)                                                                           \
    {                                                                                                             \
        name, check, run, NO_TABLE, false, false                                                                  \
    }
#define CHECK_AND_RUN_ON(name, check, run, id)                                                                    \
    {                                                                                                             \
        name, check, run, id, false, false                                                                        \
    }
#define STATEMENT(name, check, run, id)                                                                           \
    {                                                                                                             \
        name, check, run, id, true, false                                                                         \
    }

static const struct binding bindings[] = {
    CREATE("/tradebook.v1.SignalService/CreateSignal", TBK_SIGNALS),
    BATCH_CREATE("/tradebook.v1.SignalService/BatchCreateSignals", TBK_SIGNALS),
    GET("/tradebook.v1.SignalService/GetSignal", TBK_SIGNALS),
    LIST("/tradebook.v1.SignalService/ListSignals", TBK_SIGNALS),
    UPDATE("/tradebook.v1.SignalService/UpdateSignal", TBK_SIGNALS),
    CHECK_AND_RUN("/tradebook.v1.TradeService/OpenTrade", tbk_trades_check_open, tbk_trades_run_open),
    CHECK_AND_RUN("/tradebook.v1.TradeService/CloseTrade", tbk_trades_check_close, tbk_trades_run_close),
    CHECK_AND_RUN("/tradebook.v1.TradeService/BatchCloseTrades", tbk_trades_check_batch_close,
                  tbk_trades_run_batch_close),
    CHECK_AND_RUN("/tradebook.v1.TradeService/RecordTrade", tbk_trades_check_record, tbk_trades_run_record),
    CHECK_AND_RUN("/tradebook.v1.TradeService/ListOpenPositions", tbk_positions_check_list,
                  tbk_positions_run_list),
    GET("/tradebook.v1.TradeService/GetSignalResult", TBK_SIGNAL_RESULTS),
    LIST("/tradebook.v1.TradeService/ListSignalResults", TBK_SIGNAL_RESULTS),
    CREATE("/tradebook.v1.TheoryService/CreateTheoryRecord", TBK_THEORY_PERFORMANCE),
    BATCH_CREATE("/tradebook.v1.TheoryService/BatchCreateTheoryRecords", TBK_THEORY_PERFORMANCE),
    GET("/tradebook.v1.TheoryService/GetTheoryRecord", TBK_THEORY_PERFORMANCE),
    LIST("/tradebook.v1.TheoryService/ListTheoryRecords", TBK_THEORY_PERFORMANCE),
    CREATE("/tradebook.v1.PatternService/CreatePattern", TBK_PATTERNS),
    BATCH_CREATE("/tradebook.v1.PatternService/BatchCreatePatterns", TBK_PATTERNS),
    GET("/tradebook.v1.PatternService/GetPattern", TBK_PATTERNS),
    LIST("/tradebook.v1.PatternService/ListPatterns", TBK_PATTERNS),
    UPDATE("/tradebook.v1.PatternService/UpdatePattern", TBK_PATTERNS),
    CREATE("/tradebook.v1.RiskService/CreateRiskSnapshot", TBK_RISK_BOOK_SNAPSHOTS),
    BATCH_CREATE("/tradebook.v1.RiskService/BatchCreateRiskSnapshots", TBK_RISK_BOOK_SNAPSHOTS),
    GET("/tradebook.v1.RiskService/GetRiskSnapshot", TBK_RISK_BOOK_SNAPSHOTS),
    LIST("/tradebook.v1.RiskService/ListRiskSnapshots", TBK_RISK_BOOK_SNAPSHOTS),
    UPDATE("/tradebook.v1.RiskService/UpdateRiskSnapshot", TBK_RISK_BOOK_SNAPSHOTS),
    CREATE("/tradebook.v1.ModelService/CreateModelDeployment", TBK_MODEL_DEPLOYMENTS),
    BATCH_CREATE("/tradebook.v1.ModelService/BatchCreateModelDeployments", TBK_MODEL_DEPLOYMENTS),
    GET("/tradebook.v1.ModelService/GetModelDeployment", TBK_MODEL_DEPLOYMENTS),
    LIST("/tradebook.v1.ModelService/ListModelDeployments", TBK_MODEL_DEPLOYMENTS),
    UPDATE("/tradebook.v1.ModelService/UpdateModelDeployment", TBK_MODEL_DEPLOYMENTS),
    CHECK_AND_RUN("/tradebook.v1.EventService/ListEvents", tbk_events_check_list, tbk_events_run_list),
    INLINE("/tradebook.v1.EventService/Subscribe", tbk_events_subscribe),
    CHECK_AND_RUN("/tradebook.v1.EventService/GetCursor", tbk_cursors_check_name, tbk_cursors_run_get),
    CHECK_AND_RUN("/tradebook.v1.EventService/ListCursors", tbk_cursors_check_list, tbk_cursors_run_list),
    CHECK_AND_RUN("/tradebook.v1.EventService/CommitCursor", tbk_cursors_check_move, tbk_cursors_run_commit),
    CHECK_AND_RUN("/tradebook.v1.EventService/SetCursor", tbk_cursors_check_move, tbk_cursors_run_set),
    CHECK_AND_RUN("/tradebook.v1.EventService/DeleteCursor", tbk_cursors_check_name, tbk_cursors_run_delete),
    STATEMENT("/tradebook.v1.ModelService/PromoteModel", tbk_model_check_promote, tbk_model_run_promote,
              TBK_MODEL_DEPLOYMENTS),
    CHECK_AND_RUN_ON("/tradebook.v1.ModelService/RollbackModel", tbk_model_check_roll_back,
                     tbk_model_run_roll_back, TBK_MODEL_DEPLOYMENTS),
    STATEMENT("/tradebook.v1.ModelService/RetireModel", tbk_model_check_retire, tbk_model_run_retire,
              TBK_MODEL_DEPLOYMENTS),
    CHECK_AND_RUN_ON("/tradebook.v1.ModelService/ListModelHistory", tbk_model_check_history, tbk_model_run_history,
                     TBK_MODEL_DEPLOYMENTS),
    STATEMENT("/tradebook.v1.PatternService/RecordPatternOutcome", tbk_pattern_check_outcome,
              tbk_pattern_run_outcome, TBK_PATTERNS),
    STATEMENT("/tradebook.v1.TheoryService/GradeTheories", tbk_theories_check_grade, tbk_theories_run_grade,
              TBK_THEORY_PERFORMANCE),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/RankPatterns", tbk_analytics_check_patterns,
                  tbk_analytics_rank_patterns),
    CHECK_AND_RUN_ON("/tradebook.v1.AnalyticsService/ListProductionModels", tbk_analytics_check_production_models,
                     tbk_resource_run_list, TBK_MODEL_DEPLOYMENTS),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/GetPerformance", tbk_analytics_check_performance,
                  tbk_analytics_get_performance),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/GetEquityCurve", tbk_analytics_check_equity_curve,
                  tbk_analytics_get_equity_curve),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/GetPerformanceSeries", tbk_analytics_check_series,
                  tbk_analytics_get_series),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/CompareStrategies", tbk_analytics_check_comparison,
                  tbk_analytics_compare),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/RankTheories", tbk_analytics_check_theories,
                  tbk_analytics_rank_theories),
    CHECK_AND_RUN("/tradebook.v1.AnalyticsService/GetCalibration", tbk_analytics_check_calibration,
                  tbk_analytics_get_calibration),
    RUN("/tradebook.v1.AdminService/GetServerInfo", tbk_admin_server_info),
    INLINE("/tradebook.v1.AdminService/GetDescriptorSet", tbk_admin_descriptor_set),
    INLINE("/tradebook.v1.AdminService/Echo", tbk_admin_echo),
    INLINE("/grpc.health.v1.Health/Check", tbk_health_check),
};

enum { BINDING_COUNT = sizeof bindings / sizeof bindings[0] };

struct tbk_methods {
    size_t count;
    struct tbk_method list[]; /* sorted by name */
};

static int compare_methods(const void *a, const void *b)
{
    return strcmp(((const struct tbk_method *)a)->name, ((const struct tbk_method *)b)->name);
}

static void declare(struct tbk_method *method, const struct tbk_schema *schema,
                    const ProtobufCServiceDescriptor *service, unsigned position)
{
    const ProtobufCMethodDescriptor *source = &service->methods[position];
    snprintf(method->name, sizeof method->name, "/%s/%s", service->name, source->name);
    method->request = source->input;
    method->response = source->output;
    method->kind = tbk_schema_method_is_read(schema, service, source->name) ? TBK_METHOD_READ : TBK_METHOD_WRITE;
}

static enum tbk_status bind(struct tbk_methods *methods, const struct tbk_schema *schema,
                            const struct binding *binding, struct tbk_error *error)
{
    struct tbk_method *method = (struct tbk_method *)(uintptr_t)tbk_methods_find(methods, binding->method);
    if (method == NULL) {
        return tbk_error_set(error, TBK_INTERNAL, "The method %s is implemented but not declared.",
                             binding->method);
    }
    method->check = binding->check;
    method->run = binding->run;
    method->table = binding->table == NO_TABLE ? NULL : &schema->tables[binding->table];
    method->single_statement = binding->single_statement;
    method->is_point_read = binding->run == tbk_resource_run_get;
    if (binding->is_inline) {
        method->kind = TBK_METHOD_INLINE;
    }
    return TBK_OK;
}

enum tbk_status tbk_methods_create(const struct tbk_schema *schema, struct tbk_methods **ret_methods,
                                   struct tbk_error *error)
{
    size_t count = 0;
    for (int i = 0; i < SERVICE_COUNT; i++) {
        count += services[i]->n_methods;
    }
    struct tbk_methods *methods = calloc(1, sizeof *methods + count * sizeof methods->list[0]);
    if (methods == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the methods.");
    }
    for (int i = 0; i < SERVICE_COUNT; i++) {
        for (unsigned m = 0; m < services[i]->n_methods; m++) {
            declare(&methods->list[methods->count++], schema, services[i], m);
        }
    }
    qsort(methods->list, methods->count, sizeof methods->list[0], compare_methods);
    for (size_t i = 0; i < methods->count; i++) {
        methods->list[i].position = i;
    }
    for (int i = 0; i < BINDING_COUNT; i++) {
        const enum tbk_status status = bind(methods, schema, &bindings[i], error);
        if (status != TBK_OK) {
            tbk_methods_destroy(methods);
            return status;
        }
    }
    *ret_methods = methods;
    return TBK_OK;
}

void tbk_methods_destroy(struct tbk_methods *methods)
{
    free(methods);
}

size_t tbk_methods_count(const struct tbk_methods *methods)
{
    return methods->count;
}

const struct tbk_method *tbk_methods_at(const struct tbk_methods *methods, size_t position)
{
    return &methods->list[position];
}

static int compare_name(const void *name, const void *method)
{
    return strcmp(name, ((const struct tbk_method *)method)->name);
}

const struct tbk_method *tbk_methods_find(const struct tbk_methods *methods, const char *name)
{
    return bsearch(name, methods->list, methods->count, sizeof methods->list[0], compare_name);
}

bool tbk_service_known(const char *name)
{
    for (int i = 0; i < SERVICE_COUNT; i++) {
        if (strcmp(services[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}
