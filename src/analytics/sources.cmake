tbk_layer(analytics
  SOURCES
    analytics/analytics.c
  LINK tbk_storage)
