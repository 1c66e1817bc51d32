tbk_layer(transport
  SOURCES
    transport/exchange.c
    transport/guard.c
    transport/listener.c
    transport/server.c
  LINK tbk_dispatch nng::nng)
