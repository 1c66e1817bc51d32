tbk_layer(base
  SOURCES
    base/arena.c
    base/budget.c
    base/dynbuf.c
    base/error.c
    base/log.c
    base/status.c
    base/text.c
    base/timestamp.c
  LINK PkgConfig::PROTOBUF_C Threads::Threads)
