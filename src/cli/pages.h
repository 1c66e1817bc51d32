/*
 * The pages of a List or Rank method: the fields that all of them have.
 */
#ifndef TBK_CLI_PAGES_H
#define TBK_CLI_PAGES_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tradebook/client.h"

enum { TBK_PAGE_ROWS_MAX = 1000 };

/* The field of the rows. */
const ProtobufCFieldDescriptor *tbk_page_field(const ProtobufCMessageDescriptor *response);
ProtobufCMessage *const *tbk_page_rows(const ProtobufCMessage *response, size_t *ret_count);
/* NULL on the last page, and in responses that have no pages. */
char *tbk_page_token(const ProtobufCMessage *response);
/* Asks for the page after token (NULL: the first) of at most left rows. token is
 * only referred to. */
void tbk_page_ask(ProtobufCMessage *request, int64_t left, char *token);

/* Every page of an answer as one response. */
struct tbk_pages {
    ProtobufCMessage *response; /* the first page, with the rows of all and no token */
    ProtobufCMessage **pages;   /* as received */
    size_t page_count;
    ProtobufCMessage **rows;
    size_t row_count;
    void *first_rows; /* what response had itself */
    size_t first_count;
    char *first_token;
};

/* Calls method until limit rows or all are there; a method without pages is called
 * once. On OK pages->response is set; finish with tbk_pages_free. */
enum tradebook_code tbk_pages_fetch(struct tradebook_client *client, const char *method, ProtobufCMessage *request,
                                    int64_t limit, struct tbk_pages *pages, struct tradebook_error *error);
void tbk_pages_free(struct tbk_pages *pages);

#endif
