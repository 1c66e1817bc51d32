/*
 * The address of the HTTP endpoint: HOST:PORT, also as http://HOST:PORT/, with
 * [...] around a numeric IPv6 host.
 */
#ifndef TBK_HTTP_LISTEN_H
#define TBK_HTTP_LISTEN_H

#include "base/error.h"

enum { TBK_HTTP_ADDRESS_BYTES_MAX = 300 };

/* Whether text is an address, as far as can be told without using it. */
enum tbk_status tbk_http_check_address(const char *text, struct tbk_error *error) TBK_MUST_CHECK;

/* Opens a socket that listens there, and says where: "http://127.0.0.1:7603". Port 0
 * picks one. INVALID_ARGUMENT: it is no address; FAILED_PRECONDITION: it is taken;
 * UNAVAILABLE: the system refuses. */
enum tbk_status tbk_http_listen(const char *text, int *ret_fd, char ret_url[TBK_HTTP_ADDRESS_BYTES_MAX],
                                struct tbk_error *error) TBK_MUST_CHECK;

#endif
