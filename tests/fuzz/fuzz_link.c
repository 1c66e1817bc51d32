/*
 * What a server sends over a connection of the C client. First byte: bit 0, whether a
 * right handshake goes before the rest; bit 1, whether the client rests after each
 * frame until it is told to go on. It hears every frame up to the first that is wrong,
 * and then ends the connection.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xxhash.h>

#include "link.h"
#include "support.h"
#include "transport/frame.h"

enum { FRAME_BYTES_MAX = 1024, PATIENCE_MS = 20000, RESUME_MS = 1, BACKLOG = 8, PAUSE_MS_MAX = 20 };

static int listener = -1;
static char url[PATH_MAX + 64];

/* What was heard, and what was to be. */
struct frames {
    unsigned count;
    uint64_t digest;
};

struct hearing {
    pthread_mutex_t mutex;
    struct frames frames;
    int connections;
    bool rests;
};

static void add(struct frames *frames, const uint8_t *bytes, size_t length)
{
    frames->count++;
    frames->digest = XXH3_64bits_withSeed(bytes, length, frames->digest + length);
}

static void start(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fuzz_path("socket"));
    snprintf(url, sizeof url, "ipc://%s", fuzz_path("socket"));
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    FUZZ_CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(listener, BACKLOG) == 0,
               "cannot listen: %s", strerror(errno));
}

static void on_connection(void *argument, bool is_connected)
{
    struct hearing *hearing = argument;
    pthread_mutex_lock(&hearing->mutex);
    hearing->connections += is_connected ? 1 : -1;
    FUZZ_CHECK(hearing->connections == 0 || hearing->connections == 1, "%d connections", hearing->connections);
    pthread_mutex_unlock(&hearing->mutex);
}

static bool on_frame(void *argument, const uint8_t *bytes, size_t length)
{
    struct hearing *hearing = argument;
    FUZZ_CHECK(length <= FRAME_BYTES_MAX, "a frame of %zu bytes is heard", length);
    pthread_mutex_lock(&hearing->mutex);
    add(&hearing->frames, bytes, length);
    pthread_mutex_unlock(&hearing->mutex);
    return !hearing->rests;
}

/* The frames that a right client hears. */
static struct frames expected(const uint8_t *data, size_t size)
{
    struct frames frames = {0};
    if (size < TBK_HANDSHAKE_BYTES || !tbk_is_handshake(TBK_SP_PUB, data))
        return frames;
    data += TBK_HANDSHAKE_BYTES;
    size -= TBK_HANDSHAKE_BYTES;
    const size_t head_bytes = tbk_frame_head_bytes(true);
    uint64_t length = 0;
    while (size >= head_bytes && tbk_frame_head_read(true, data, &length) && length <= FRAME_BYTES_MAX &&
           length <= size - head_bytes) {
        add(&frames, data + head_bytes, (size_t)length);
        data += head_bytes + length;
        size -= head_bytes + (size_t)length;
    }
    return frames;
}

static int accept_client(void)
{
    FUZZ_CHECK(fuzz_is_readable(listener, PATIENCE_MS), "the client does not connect");
    return accept(listener, NULL, NULL);
}

/* Until the client has ended the connection, telling it to go on. */
static void wait_for_end(int fd, struct tbk_link *link)
{
    uint8_t bytes[64];
    for (int waited = 0; waited < PATIENCE_MS; waited += RESUME_MS) {
        if (fuzz_is_readable(fd, RESUME_MS) && recv(fd, bytes, sizeof bytes, 0) <= 0)
            return;
        tbk_link_resume(link);
    }
    fuzz_fail(__FILE__, __LINE__, "the client does not end the connection");
}

static void serve(const uint8_t *data, size_t size, bool rests)
{
    struct hearing hearing = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rests = rests};
    const struct tbk_link_config config = {
        .protocol = TBK_LINK_SUB,
        .peer_protocol = TBK_LINK_PUB,
        .frame_bytes_max = FRAME_BYTES_MAX,
        .silence_ms_max = PATIENCE_MS,
        .pause_ms_max = PAUSE_MS_MAX,
        .argument = &hearing,
        .on_connection = on_connection,
        .on_frame = on_frame,
    };
    struct tbk_link *link = NULL;
    FUZZ_CHECK(tbk_link_open(url, &config, &link) == 0, "no link");
    const int fd = accept_client();
    send(fd, data, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    wait_for_end(fd, link);
    close(fd);
    tbk_link_close(link);
    const struct frames right = expected(data, size);
    FUZZ_CHECK(hearing.frames.count == right.count && hearing.frames.digest == right.digest,
               "%u frames are heard, not %u", hearing.frames.count, right.count);
    /* It may have connected again. */
    for (int again; (again = accept(listener, NULL, NULL)) >= 0;)
        close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sent[8192];
    struct fuzz_input input = {data, size};
    if (listener < 0)
        start();
    const unsigned choice = fuzz_take_byte(&input);
    size_t sent_bytes = 0;
    if ((choice & 1) != 0) {
        tbk_handshake_write(TBK_SP_PUB, sent);
        sent_bytes = TBK_HANDSHAKE_BYTES;
    }
    size_t rest;
    const uint8_t *bytes = fuzz_take(&input, sizeof sent - sent_bytes, &rest);
    if (rest > 0)
        memcpy(sent + sent_bytes, bytes, rest);
    serve(sent, sent_bytes + rest, (choice & 2) != 0);
    return 0;
}
