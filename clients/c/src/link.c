#include "link.h"

#include <stdlib.h>
#include <string.h>

static bool has_scheme(const char *address, const char *scheme)
{
    return strncmp(address, scheme, strlen(scheme)) == 0;
}

int tbk_link_open(const char *address, const struct tbk_link_config *config, struct tbk_link **ret_link)
{
    if (has_scheme(address, "tcp://") || has_scheme(address, "ipc://")) {
        return tbk_link_stream_open(address, config, ret_link);
    }
    if (has_scheme(address, "ws://") && config->protocol == TBK_LINK_REQ) {
        return tbk_link_ws_open(address, config, ret_link);
    }
    return NNG_EADDRINVAL;
}

bool tbk_link_send(struct tbk_link *link, struct tbk_link_frame *frame)
{
    return link->ops->send(link, frame);
}

void tbk_link_resume(struct tbk_link *link)
{
    link->ops->resume(link);
}

void tbk_link_drop(struct tbk_link *link)
{
    link->ops->drop(link);
}

void tbk_link_close(struct tbk_link *link)
{
    if (link != NULL) {
        link->ops->close(link);
    }
}

struct tbk_link_frame *tbk_link_frame_create(size_t length)
{
    struct tbk_link_frame *frame = malloc(sizeof *frame + length);
    if (frame != NULL) {
        frame->next = NULL;
        frame->length = length;
    }
    return frame;
}
