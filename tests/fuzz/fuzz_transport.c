/*
 * What a peer sends over its connection to the server, whose dispatch echoes. First
 * byte: bit 0, whether a right handshake goes before the rest. What comes back is a
 * handshake and whole frames, each the echo of a request in it, and a good client is
 * served afterwards.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "echo_dispatch.h"
#include "support.h"
#include "transport/frame.h"
#include "transport/server.h"

enum { MESSAGE_BYTES_MAX = 2048, ANSWER_BYTES_MAX = 1 << 16, PATIENCE_MS = 20000, GOOD_EVERY = 32 };

static struct tbk_dispatch *dispatch;
static struct tbk_server *server;

static void stop(void)
{
    tbk_server_quiesce(server);
    tbk_dispatch_drain(dispatch);
    tbk_server_destroy(server);
    tbk_dispatch_destroy(dispatch);
}

static void start(void)
{
    static char url[PATH_MAX + 64];
    static const char *const urls[] = {url};
    struct tbk_error error;
    tbk_error_init(&error);
    tbk_log_configure(STDERR_FILENO, TBK_LOG_OFF, TBK_LOG_TEXT);
    snprintf(url, sizeof url, "ipc://%s", fuzz_path("socket"));
    dispatch = echo_dispatch_create();
    const struct tbk_server_config config = {
        .dispatch = dispatch,
        .listen_urls = urls,
        .listen_url_count = 1,
        .contexts = 8,
        .connections_max = 64,
        .message_bytes_max = MESSAGE_BYTES_MAX,
        .send_timeout_ms = 1000,
        .ipc_permissions = 0600,
    };
    FUZZ_CHECK(tbk_server_create(&config, &server, &error) == TBK_OK, "%s", error.message);
    atexit(stop);
}

static int connect_to_server(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fuzz_path("socket"));
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "cannot connect: %s",
               strerror(errno));
    return fd;
}

/* The server may close while this is under way. */
static void send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        size -= (size_t)sent;
    }
}

static size_t receive(int fd, uint8_t *out, size_t size_max, size_t wanted)
{
    size_t size = 0;
    while (size < wanted) {
        FUZZ_CHECK(fuzz_is_readable(fd, PATIENCE_MS), "the server neither answers nor closes");
        const ssize_t count = recv(fd, out + size, size_max - size, 0);
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    return size;
}

static const uint8_t *skip_handshake(const uint8_t *data, size_t *size, enum tbk_sp_protocol protocol)
{
    if (*size < TBK_HANDSHAKE_BYTES || !tbk_is_handshake(protocol, data))
        return NULL;
    *size -= TBK_HANDSHAKE_BYTES;
    return data + TBK_HANDSHAKE_BYTES;
}

/* Whether the bytes stand anywhere in what was sent. */
static void check_answer(const uint8_t *answer, size_t size, const uint8_t *sent, size_t sent_bytes)
{
    if (size == 0)
        return;
    FUZZ_CHECK(size <= TBK_HANDSHAKE_BYTES || skip_handshake(answer, &size, TBK_SP_REP) != NULL,
               "the server sends no handshake");
    answer += TBK_HANDSHAKE_BYTES;
    const size_t head_bytes = tbk_frame_head_bytes(true);
    while (size >= head_bytes && size <= ANSWER_BYTES_MAX) {
        uint64_t length;
        FUZZ_CHECK(tbk_frame_head_read(true, answer, &length), "the server sends no frame");
        answer += head_bytes;
        size -= head_bytes;
        if (length > size)
            return;
        FUZZ_CHECK(length <= MESSAGE_BYTES_MAX + TBK_BACKTRACE_BYTES_MAX, "a frame of %llu bytes",
                   (unsigned long long)length);
        FUZZ_CHECK(memmem(sent, sent_bytes, answer, (size_t)length) != NULL, "a reply that nobody asked for");
        answer += length;
        size -= (size_t)length;
    }
}

static void exchange(const uint8_t *data, size_t size, bool shakes_hands)
{
    static uint8_t sent[1 << 16];
    static uint8_t answer[ANSWER_BYTES_MAX];
    size_t sent_bytes = 0;
    if (shakes_hands) {
        tbk_handshake_write(TBK_SP_REQ, sent);
        sent_bytes = TBK_HANDSHAKE_BYTES;
    }
    if (size > sizeof sent - TBK_HANDSHAKE_BYTES)
        size = sizeof sent - TBK_HANDSHAKE_BYTES;
    if (size > 0)
        memcpy(sent + sent_bytes, data, size);
    sent_bytes += size;
    const int fd = connect_to_server();
    send_all(fd, sent, sent_bytes);
    shutdown(fd, SHUT_WR);
    const size_t answer_bytes = receive(fd, answer, sizeof answer, sizeof answer);
    close(fd);
    check_answer(answer, answer_bytes, sent, sent_bytes);
}

static void check_good_client(void)
{
    static const uint8_t request[] = {1, 0, 0, 0, 0, 0, 0, 0, 9, 0x80, 0, 0, 7, 'h', 'e', 'l', 'l', 'o'};
    uint8_t handshake[TBK_HANDSHAKE_BYTES];
    uint8_t answer[TBK_HANDSHAKE_BYTES + sizeof request];
    const int fd = connect_to_server();
    tbk_handshake_write(TBK_SP_REQ, handshake);
    send_all(fd, handshake, sizeof handshake);
    send_all(fd, request, sizeof request);
    FUZZ_CHECK(receive(fd, answer, sizeof answer, sizeof answer) == sizeof answer &&
                   memcmp(answer + TBK_HANDSHAKE_BYTES, request, sizeof request) == 0,
               "a good client is not served");
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    struct fuzz_input input = {data, size};
    if (server == NULL)
        start();
    const unsigned choice = fuzz_take_byte(&input);
    /* These make echo_dispatch answer something else. */
    if (size > 0 && (memmem(data, size, "big ", 4) != NULL || memmem(data, size, "discard", 7) != NULL))
        return 0;
    exchange(input.data, input.left, (choice & 1) != 0);
    if (++runs % GOOD_EVERY == 0)
        check_good_client();
    return 0;
}
