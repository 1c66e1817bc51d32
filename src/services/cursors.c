/* EventService: the places of subscribers. */
#include <string.h>

#include "base/text.h"
#include "query/page.h"
#include "services/handlers.h"
#include "tradebook/v1/event.pb-c.h"

enum { NAME_CHARS_MAX = 100 };

static enum tbk_status out_of_memory(struct tbk_call *call)
{
    return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while answering.");
}

static void check_name(const char *name, struct tbk_error *error)
{
    const size_t length = name != NULL ? strlen(name) : 0;
    if (name == NULL) {
        tbk_error_violation(error, "name", "is required");
    } else if (name[strspn(name, " ")] == '\0') {
        tbk_error_violation(error, "name", "must not be empty or blank");
    } else if (tbk_utf8_count(name, length) > NAME_CHARS_MAX) {
        tbk_error_violation(error, "name", "has %zu characters, at most %d are allowed",
                            tbk_utf8_count(name, length), NAME_CHARS_MAX);
    } else if (tbk_utf8_has_control(name, length)) {
        tbk_error_violation(error, "name", "must not contain control characters");
    }
}

/* GetCursorRequest and DeleteCursorRequest both consist of the name. */
static const char *name_of(const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "name");
    return *(char *const *)(const void *)((const char *)message + field->offset);
}

enum tbk_status tbk_cursors_check_name(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message)
{
    (void)method;
    check_name(name_of(message), call->error);
    return tbk_error_finish(call->error);
}

static enum tbk_status answer_cursor(struct tbk_call *call, const char *name, ProtobufCMessage **ret_response)
{
    Tradebook__V1__Cursor *cursor = NULL;
    const enum tbk_status status =
        call->context->ops->cursor_get(call->session, name, call->arena, &cursor, call->error);
    if (status == TBK_OK) {
        *ret_response = &cursor->base;
    }
    return status;
}

enum tbk_status tbk_cursors_run_get(struct tbk_call *call, const struct tbk_method *method,
                                    ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    return answer_cursor(call, name_of(message), ret_response);
}

enum tbk_status tbk_cursors_run_delete(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    const enum tbk_status status = call->context->ops->cursor_delete(call->session, name_of(message), call->error);
    if (status != TBK_OK) {
        return status;
    }
    *ret_response = tbk_message_create(method->response, call->arena);
    return *ret_response != NULL ? TBK_OK : out_of_memory(call);
}

enum tbk_status tbk_cursors_check_list(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message)
{
    static const enum tbk_value_type name_only[] = {TBK_VALUE_TEXT};
    const Tradebook__V1__ListCursorsRequest *request = (const Tradebook__V1__ListCursorsRequest *)message;
    struct tbk_page *page = tbk_arena_alloc(call->arena, sizeof *page);
    if (page == NULL) {
        return out_of_memory(call);
    }
    const struct tbk_page_request asked = {.has_page_size = request->has_page_size != 0,
                                           .page_size = request->page_size,
                                           .page_token = request->page_token,
                                           .scope = method->name};
    call->prepared = page;
    const enum tbk_status status =
        tbk_page_build(&asked, name_only, 1, call->context->secret, call->arena, page, call->error);
    return status == TBK_OK ? TBK_OK : tbk_error_finish(call->error);
}

static char *next_page_token(const struct tbk_call *call, const char *last)
{
    const struct tbk_value name = {.type = TBK_VALUE_TEXT, .text = {last, strlen(last)}};
    return tbk_page_next(call->prepared, &name, 1, call->context->secret, call->arena);
}

enum tbk_status tbk_cursors_run_list(struct tbk_call *call, const struct tbk_method *method,
                                     ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)message;
    const struct tbk_page *page = call->prepared;
    Tradebook__V1__ListCursorsResponse *response = tbk_arena_alloc(call->arena, sizeof *response);
    if (response == NULL) {
        return out_of_memory(call);
    }
    tradebook__v1__list_cursors_response__init(response);
    bool more = false;
    const char *after = page->continues ? page->after[0].text.data : "";
    const enum tbk_status status =
        call->context->ops->cursor_list(call->session, after, page->limit, call->arena, &response->cursors,
                                        &response->n_cursors, &more, call->error);
    if (status != TBK_OK) {
        return status;
    }
    if (more) {
        response->next_page_token = next_page_token(call, response->cursors[response->n_cursors - 1]->name);
        if (response->next_page_token == NULL) {
            return out_of_memory(call);
        }
    }
    *ret_response = &response->base;
    return TBK_OK;
}

/* What Commit and Set ask for alike. */
struct move {
    const char *name;
    int64_t sequence;
};

/* The two requests have the same fields under the same numbers. */
_Static_assert(sizeof(Tradebook__V1__CommitCursorRequest) == sizeof(Tradebook__V1__SetCursorRequest) &&
                   offsetof(Tradebook__V1__CommitCursorRequest, name) ==
                       offsetof(Tradebook__V1__SetCursorRequest, name) &&
                   offsetof(Tradebook__V1__CommitCursorRequest, has_sequence) ==
                       offsetof(Tradebook__V1__SetCursorRequest, has_sequence) &&
                   offsetof(Tradebook__V1__CommitCursorRequest, sequence) ==
                       offsetof(Tradebook__V1__SetCursorRequest, sequence),
               "both are read as the first");

enum tbk_status tbk_cursors_check_move(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message)
{
    (void)method;
    const Tradebook__V1__CommitCursorRequest *request = (const Tradebook__V1__CommitCursorRequest *)message;
    struct move *move = tbk_arena_alloc(call->arena, sizeof *move);
    if (move == NULL) {
        return out_of_memory(call);
    }
    *move = (struct move){request->name, request->sequence};
    check_name(request->name, call->error);
    if (!request->has_sequence) {
        tbk_error_violation(call->error, "sequence", "is required");
    } else if (request->sequence < 0) {
        tbk_error_violation(call->error, "sequence", "must not be negative, is %lld",
                            (long long)request->sequence);
    }
    call->prepared = move;
    return tbk_error_finish(call->error);
}

static enum tbk_status run_move(struct tbk_call *call, bool may_go_back, ProtobufCMessage **ret_response)
{
    const struct tbk_storage_ops *ops = call->context->ops;
    const struct move *move = call->prepared;
    struct tbk_event_range range;
    enum tbk_status status = ops->event_range(call->session, &range, call->error);
    if (status == TBK_OK && move->sequence > range.newest) {
        return tbk_error_set(
            call->error, TBK_OUT_OF_RANGE,
            "There is no event %lld yet, the newest is %lld. Give the last event that was handled.",
            (long long)move->sequence, (long long)range.newest);
    }
    if (status == TBK_OK) {
        status =
            ops->cursor_move(call->session, move->name, move->sequence, may_go_back, call->now_us, call->error);
    }
    return status == TBK_OK ? answer_cursor(call, move->name, ret_response) : status;
}

enum tbk_status tbk_cursors_run_commit(struct tbk_call *call, const struct tbk_method *method,
                                       ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)message;
    return run_move(call, false, ret_response);
}

enum tbk_status tbk_cursors_run_set(struct tbk_call *call, const struct tbk_method *method,
                                    ProtobufCMessage *message, ProtobufCMessage **ret_response)
{
    (void)method;
    (void)message;
    return run_move(call, true, ret_response);
}
