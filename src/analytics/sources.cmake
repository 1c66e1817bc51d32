tbk_layer(analytics
  SOURCES
    analytics/analytics.c
    analytics/statistics.c
  LINK tbk_storage m)
