tbk_layer(json
  SOURCES
    json/base64.c
    json/json_read.c
    json/json_write.c
    json/number.c
    json/types.c
    json/wellknown.c
  LINK tbk_base tbk_proto PkgConfig::JANSSON m)
