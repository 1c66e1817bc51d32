tbk_layer(transport
  SOURCES
    transport/broadcast.c
    transport/endpoints.c
    transport/exchange.c
    transport/frame.c
    transport/listener.c
    transport/peer.c
    transport/peer_read.c
    transport/peer_request.c
    transport/peer_write.c
    transport/server.c
    transport/service_manager.c
    transport/streams.c
  LINK tbk_dispatch nng::nng)
