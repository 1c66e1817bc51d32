#include "cli/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessage *message, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

static void *place_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

static size_t *count_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)((char *)message + field->quantifier_offset);
}

const ProtobufCFieldDescriptor *tbk_page_field(const ProtobufCMessageDescriptor *response)
{
    for (unsigned i = 0; i < response->n_fields; i++) {
        if (response->fields[i].label == PROTOBUF_C_LABEL_REPEATED)
            return &response->fields[i];
    }
    return NULL;
}

ProtobufCMessage *const *tbk_page_rows(const ProtobufCMessage *response, size_t *ret_count)
{
    const ProtobufCFieldDescriptor *field = tbk_page_field(response->descriptor);
    *ret_count = *count_of(response, field);
    return *(ProtobufCMessage *const *const *)place_of(response, field);
}

char *tbk_page_token(const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *field = field_named(response, "next_page_token");
    return field != NULL ? *(char **)place_of(response, field) : NULL;
}

void tbk_page_ask(ProtobufCMessage *request, int64_t left, char *token)
{
    const ProtobufCFieldDescriptor *size = field_named(request, "page_size");
    *(protobuf_c_boolean *)((char *)request + size->quantifier_offset) = 1;
    *(int32_t *)place_of(request, size) = left < TBK_PAGE_ROWS_MAX ? (int32_t)left : TBK_PAGE_ROWS_MAX;
    *(char **)place_of(request, field_named(request, "page_token")) = token;
}

/* Adds a page and its rows, at most left of them. False when memory is
 * exhausted; the page is then not taken. */
static bool add_page(struct tbk_pages *pages, ProtobufCMessage *page, int64_t left)
{
    size_t count;
    ProtobufCMessage *const *rows = tbk_page_rows(page, &count);
    if ((int64_t)count > left)
        count = (size_t)left;
    ProtobufCMessage **more_pages = realloc(pages->pages, (pages->page_count + 1) * sizeof(ProtobufCMessage *));
    if (more_pages == NULL)
        return false;
    pages->pages = more_pages;
    ProtobufCMessage **more_rows =
        realloc(pages->rows, (pages->row_count + count + 1) * sizeof(ProtobufCMessage *));
    if (more_rows == NULL)
        return false;
    pages->rows = more_rows;
    if (count > 0)
        memcpy(pages->rows + pages->row_count, rows, count * sizeof(ProtobufCMessage *));
    pages->row_count += count;
    pages->pages[pages->page_count++] = page;
    return true;
}

/* Puts the rows of all pages into the first. */
static void join(struct tbk_pages *pages)
{
    ProtobufCMessage *response = pages->pages[0];
    const ProtobufCFieldDescriptor *rows = tbk_page_field(response->descriptor);
    const ProtobufCFieldDescriptor *token = field_named(response, "next_page_token");
    pages->response = response;
    pages->first_count = *count_of(response, rows);
    pages->first_rows = *(void **)place_of(response, rows);
    pages->first_token = *(char **)place_of(response, token);
    *count_of(response, rows) = pages->row_count;
    *(ProtobufCMessage ***)place_of(response, rows) = pages->rows;
    *(char **)place_of(response, token) = NULL;
}

static enum tradebook_code out_of_memory(struct tradebook_error *error)
{
    error->code = TRADEBOOK_RESOURCE_EXHAUSTED;
    error->violation_count = 0;
    snprintf(error->message, sizeof error->message, "The answer is too large for the memory.");
    return error->code;
}

static enum tradebook_code fetch_pages(struct tradebook_client *client, const char *method,
                                       ProtobufCMessage *request, int64_t limit, struct tbk_pages *pages,
                                       struct tradebook_error *error)
{
    char *token = NULL;
    do {
        int64_t left = limit - (int64_t)pages->row_count;
        ProtobufCMessage *page = NULL;
        tbk_page_ask(request, left, token);
        enum tradebook_code code = tradebook_call(client, method, request, NULL, &page, error);
        if (code != TRADEBOOK_OK)
            return code;
        if (!add_page(pages, page, left)) {
            tradebook_message_free(page);
            return out_of_memory(error);
        }
        token = tbk_page_token(page);
    } while (token != NULL && (int64_t)pages->row_count < limit);
    join(pages);
    return TRADEBOOK_OK;
}

enum tradebook_code tbk_pages_fetch(struct tradebook_client *client, const char *method, ProtobufCMessage *request,
                                    int64_t limit, struct tbk_pages *pages, struct tradebook_error *error)
{
    *pages = (struct tbk_pages){0};
    if (field_named(request, "page_token") == NULL)
        return tradebook_call(client, method, request, NULL, &pages->response, error);
    enum tradebook_code code = fetch_pages(client, method, request, limit, pages, error);
    if (code != TRADEBOOK_OK)
        tbk_pages_free(pages);
    return code;
}

void tbk_pages_free(struct tbk_pages *pages)
{
    if (pages->response != NULL && pages->page_count > 0) {
        const ProtobufCFieldDescriptor *rows = tbk_page_field(pages->response->descriptor);
        const ProtobufCFieldDescriptor *token = field_named(pages->response, "next_page_token");
        *count_of(pages->response, rows) = pages->first_count;
        *(void **)place_of(pages->response, rows) = pages->first_rows;
        *(char **)place_of(pages->response, token) = pages->first_token;
    } else {
        tradebook_message_free(pages->response);
    }
    for (size_t i = 0; i < pages->page_count; i++)
        tradebook_message_free(pages->pages[i]);
    free(pages->pages);
    free(pages->rows);
    *pages = (struct tbk_pages){0};
}
