/*
 * The server with a dispatch that echoes, against stock nng REQ sockets. Over
 * tcp and ipc an old nng serves with streams.c, over ws every nng with the
 * contexts of exchange.c.
 */
#include "cmocka_all.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "echo_dispatch.h"
#include "transport/server.h"

enum { CONTEXTS = 8, CONNECTIONS_MAX = 4, MESSAGE_BYTES_MAX = 1 << 20, ADDRESS_COUNT = 3 };

struct fixture {
    struct tbk_dispatch *dispatch;
    struct tbk_server *server;
    char folder[32];
    char ipc_url[64];
    bool quiet; /* quiesced already */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    tbk_log_configure(STDERR_FILENO, TBK_LOG_ERROR, TBK_LOG_TEXT);
    strcpy(fixture->folder, "/tmp/tbk_transport_XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->ipc_url, sizeof fixture->ipc_url, "ipc://%s/s", fixture->folder);
    const char *urls[ADDRESS_COUNT] = {"tcp://127.0.0.1:0", fixture->ipc_url, "ws://127.0.0.1:0/rpc"};
    fixture->dispatch = echo_dispatch_create();
    struct tbk_server_config config = {
        .dispatch = fixture->dispatch,
        .listen_urls = urls,
        .listen_url_count = ADDRESS_COUNT,
        .contexts = CONTEXTS,
        .connections_max = CONNECTIONS_MAX,
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .send_timeout_ms = 1000,
        .ipc_permissions = 0600,
    };
    struct tbk_error error;
    tbk_error_init(&error);
    assert_int_equal(tbk_server_create(&config, &fixture->server, &error), TBK_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->quiet)
        tbk_server_quiesce(fixture->server);
    tbk_dispatch_drain(fixture->dispatch);
    tbk_server_destroy(fixture->server);
    tbk_dispatch_destroy(fixture->dispatch);
    assert_int_equal(rmdir(fixture->folder), 0); /* the socket file is gone */
    free(fixture);
    return 0;
}

static nng_socket dial(const struct fixture *fixture, size_t position)
{
    nng_socket socket;
    assert_int_equal(nng_req0_open(&socket), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 20000), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), 0);
    assert_int_equal(nng_dial(socket, tbk_server_address(fixture->server, position), NULL, 0), 0);
    return socket;
}

static void send_text(nng_socket socket, const char *text)
{
    assert_int_equal(nng_send(socket, (void *)text, strlen(text), 0), 0);
}

/* The reply as text, to be freed with nng_msg_free. */
static nng_msg *exchange(nng_socket socket, const char *text)
{
    nng_msg *reply = NULL;
    send_text(socket, text);
    assert_int_equal(nng_recvmsg(socket, &reply, 0), 0);
    return reply;
}

static void assert_echo(nng_socket socket, const char *text)
{
    nng_msg *reply = exchange(socket, text);
    assert_int_equal(nng_msg_len(reply), strlen(text));
    assert_memory_equal(nng_msg_body(reply), text, strlen(text));
    nng_msg_free(reply);
}

static void test_server_reply_during_submit_arrives(void **state)
{
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        nng_socket socket = dial(*state, i);
        for (int round = 0; round < 100; round++)
            assert_echo(socket, "at once");
        nng_close(socket);
    }
}

static void test_server_reply_from_another_thread_arrives(void **state)
{
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        nng_socket socket = dial(*state, i);
        for (int round = 0; round < 100; round++)
            assert_echo(socket, "later please");
        nng_close(socket);
    }
}

static void test_server_empty_and_large_replies_arrive_whole(void **state)
{
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        nng_socket socket = dial(*state, i);
        nng_msg *empty = exchange(socket, "big 0");
        assert_int_equal(nng_msg_len(empty), 0);
        nng_msg_free(empty);
        nng_msg *large = exchange(socket, "big 900000");
        assert_int_equal(nng_msg_len(large), 900000);
        const char *body = nng_msg_body(large);
        assert_int_equal(body[0], 'x');
        assert_memory_equal(body, body + 1, 899999);
        nng_msg_free(large);
        nng_close(socket);
    }
}

/* As send_text, for a connection that will be lost; named in tests/support/lsan.supp. */
static void send_text_to_be_lost(nng_socket socket, const char *text)
{
    send_text(socket, text);
}

/* Who is not answered is not left waiting: the connection is closed, and the
 * client dials again. */
static void test_server_discarded_requests_free_their_contexts(void **state)
{
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        nng_socket socket = dial(*state, i);
        assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, 1), 0);
        for (int round = 0; round < 2 * CONTEXTS; round++) {
            nng_msg *reply = NULL;
            send_text_to_be_lost(socket, "discard");
            assert_int_equal(nng_recvmsg(socket, &reply, 0), NNG_ECONNRESET);
        }
        assert_echo(socket, "still here");
        nng_close(socket);
    }
}

/* More requests at once than contexts: every context of the client has its own
 * reply. */
static void test_server_more_requests_than_contexts_are_all_answered(void **state)
{
    enum { REQUESTS = 10 * CONTEXTS };
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        nng_socket socket = dial(*state, i);
        nng_ctx contexts[REQUESTS];
        nng_aio *aio = NULL;
        assert_int_equal(nng_aio_alloc(&aio, NULL, NULL), 0);
        nng_aio_set_timeout(aio, 20000);
        for (int n = 0; n < REQUESTS; n++) {
            nng_msg *request = NULL;
            char text[32];
            snprintf(text, sizeof text, "later %d", n);
            assert_int_equal(nng_ctx_open(&contexts[n], socket), 0);
            assert_int_equal(nng_ctx_set_ms(contexts[n], NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), 0);
            assert_int_equal(nng_msg_alloc(&request, 0), 0);
            assert_int_equal(nng_msg_append(request, text, strlen(text)), 0);
            nng_aio_set_msg(aio, request);
            nng_ctx_send(contexts[n], aio);
            nng_aio_wait(aio);
            assert_int_equal(nng_aio_result(aio), 0);
        }
        for (int n = REQUESTS - 1; n >= 0; n--) {
            char text[32];
            snprintf(text, sizeof text, "later %d", n);
            nng_ctx_recv(contexts[n], aio);
            nng_aio_wait(aio);
            assert_int_equal(nng_aio_result(aio), 0);
            nng_msg *reply = nng_aio_get_msg(aio);
            assert_int_equal(nng_msg_len(reply), strlen(text));
            assert_memory_equal(nng_msg_body(reply), text, strlen(text));
            nng_msg_free(reply);
        }
        nng_aio_free(aio);
        nng_close(socket);
    }
}

static void test_server_connections_are_counted_and_limited(void **state)
{
    struct fixture *fixture = *state;
    nng_socket sockets[CONNECTIONS_MAX];
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        sockets[i] = dial(fixture, i % ADDRESS_COUNT);
        assert_echo(sockets[i], "in");
    }
    assert_int_equal(tbk_server_connections(fixture->server), CONNECTIONS_MAX);
    nng_socket refused;
    assert_int_equal(nng_req0_open(&refused), 0);
    assert_int_not_equal(nng_dial(refused, tbk_server_address(fixture->server, 0), NULL, 0), 0);
    nng_close(refused);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        assert_echo(sockets[i], "still in");
        nng_close(sockets[i]);
    }
}

static void test_server_quiesced_takes_nothing_new(void **state)
{
    struct fixture *fixture = *state;
    nng_socket busy = dial(fixture, 0);
    assert_echo(busy, "hello");
    tbk_server_quiesce(fixture->server);
    fixture->quiet = true;
    assert_int_equal(nng_socket_set_ms(busy, NNG_OPT_RECVTIMEO, 200), 0);
    send_text(busy, "too late");
    nng_msg *reply = NULL;
    assert_int_equal(nng_recvmsg(busy, &reply, 0), NNG_ETIMEDOUT);
    nng_close(busy);
}

static void test_server_bad_addresses_are_refused_with_the_address(void **state)
{
    (void)state;
    static const char *const urls[] = {"",         "tcp",           "tcp://127.0.0.1",   "tcp://127.0.0.1:",
                                       "tcp://:",  "inproc://x",    "ws://127.0.0.1/x",  "udp://127.0.0.1:1",
                                       "ipc:/tmp", "tcp://host:1a", "tls+tcp://host:443"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct tbk_error error;
        tbk_error_init(&error);
        assert_int_equal(tbk_server_check_url(urls[i], &error), TBK_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, urls[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_server_reply_during_submit_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_reply_from_another_thread_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_empty_and_large_replies_arrive_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_discarded_requests_free_their_contexts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_more_requests_than_contexts_are_all_answered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_server_connections_are_counted_and_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_quiesced_takes_nothing_new, set_up, tear_down),
        cmocka_unit_test(test_server_bad_addresses_are_refused_with_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
