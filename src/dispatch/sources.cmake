tbk_layer(dispatch
  SOURCES
    dispatch/counts.c
    dispatch/dispatch.c
    dispatch/envelope.c
    dispatch/expose.c
    dispatch/job.c
    dispatch/queue.c
    dispatch/readers.c
    dispatch/relay.c
    dispatch/reply.c
    dispatch/waiters.c
    dispatch/wire.c
    dispatch/writer.c
  LINK tbk_services PkgConfig::XXHASH)
