/*
 * Messages as rows of CSV (RFC 4180): one column for each field, those of inner
 * messages under the name of the field that holds them, "win_rate_lower". A field
 * "value" of an inner message has the name of that message's field alone, and the
 * fields of one called "performance" their own names. Repeated fields have no
 * column. Values are as in tradebook list: absent is empty, an empty text "",
 * times in UTC as on disk, booleans 0 and 1, enumerations in lower case.
 */
#ifndef TBK_CLI_FLAT_H
#define TBK_CLI_FLAT_H

#include <protobuf-c/protobuf-c.h>

#include "base/dynbuf.h"

void tbk_flat_header(const ProtobufCMessageDescriptor *descriptor, struct tbk_dynbuf *out);
/* message may be NULL: all of it is absent. */
void tbk_flat_row(const ProtobufCMessageDescriptor *descriptor, const ProtobufCMessage *message,
                  struct tbk_dynbuf *out);

#endif
