/*
 * The addresses that server and clients use when none is given.
 */
#ifndef TBK_CLI_ADDRESS_H
#define TBK_CLI_ADDRESS_H

enum { TBK_ADDRESS_BYTES_MAX = 128 };

#define TBK_DEFAULT_TCP_URL      "tcp://127.0.0.1:7601"
#define TBK_DEFAULT_EVENTS_URL   "tcp://127.0.0.1:7602"
#define TBK_DEFAULT_HTTP_ADDRESS "127.0.0.1:7603"

/* ipc:///run/user/UID/tradebook.sock, or ipc:///tmp/tradebook-UID.sock when this
 * user has no such directory. */
void tbk_default_ipc_url(char out[TBK_ADDRESS_BYTES_MAX]);

/* The server a client command talks to: given (of --address) when not NULL, else
 * TRADEBOOK_ADDRESS, else the default ipc socket if a server of this user made
 * one, else TBK_DEFAULT_TCP_URL. The result lives as long as given, the
 * environment and buffer. */
const char *tbk_client_address(const char *given, char buffer[TBK_ADDRESS_BYTES_MAX]);

#endif
