tbk_layer(services
  SOURCES
    services/admin.c
    services/analytics_models.c
    services/cursors.c
    services/events.c
    services/health.c
    services/methods.c
    services/model_history.c
    services/models.c
    services/pattern_outcome.c
    services/resource_list.c
    services/resource_read.c
    services/resource_write.c
    services/rules.c
    services/status_details.c
  LINK tbk_analytics)
