/*
 * Topics of events: "trade.closed/SYMBOL/", in which every byte of the symbol
 * that is not unreserved in RFC 3986 is percent-encoded.
 */
#ifndef TBK_STORAGE_TOPIC_H
#define TBK_STORAGE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* The topic of the trades of a symbol; NULL when the arena is exhausted. */
char *tbk_topic_of_trade(const char *symbol, size_t length, struct tbk_arena *arena);
/* Whether that topic begins with prefix. */
bool tbk_topic_of_trade_has_prefix(const char *symbol, size_t length, const char *prefix);

#endif
