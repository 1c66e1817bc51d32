tbk_layer(metrics
  SOURCES
    metrics/distribution.c
    metrics/exposition.c
  LINK tbk_base m)
