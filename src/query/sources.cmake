tbk_layer(query
  SOURCES
    query/base64url.c
    query/filter.c
    query/filter_token.c
    query/filter_value.c
    query/order.c
    query/page.c
    query/page_token.c
    query/query.c
  LINK tbk_schema PkgConfig::XXHASH)
