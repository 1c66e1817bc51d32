tbk_layer(http
  SOURCES
    http/listen.c
    http/monitor.c
    http/process.c
    http/server.c
  LINK tbk_transport PkgConfig::MICROHTTPD)
