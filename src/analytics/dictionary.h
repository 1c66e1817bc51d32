/*
 * Texts and their numbers, for one dimension. Number 0 is "none" (NULL). Grows
 * only; used under the lock of the series.
 */
#ifndef TBK_ANALYTICS_DICTIONARY_H
#define TBK_ANALYTICS_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tbk_dictionary {
    char **texts; /* by number; [0] is NULL */
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* of a hash table: numbers, 0 is empty */
    uint32_t slot_count;
    size_t bytes; /* memory used */
};

void tbk_dictionary_fini(struct tbk_dictionary *dictionary);

/* Number of a text, a new one if it is not there yet. False: out of memory. */
bool tbk_dictionary_put(struct tbk_dictionary *dictionary, const char *text, uint32_t *ret_number);
/* False: not there. */
bool tbk_dictionary_find(const struct tbk_dictionary *dictionary, const char *text, uint32_t *ret_number);
/* One more than the largest number. */
static inline uint32_t tbk_dictionary_size(const struct tbk_dictionary *dictionary)
{
    return dictionary->count > 0 ? dictionary->count : 1;
}
/* NULL for number 0. Valid until fini. */
static inline const char *tbk_dictionary_text(const struct tbk_dictionary *dictionary, uint32_t number)
{
    return number < dictionary->count ? dictionary->texts[number] : NULL;
}

#endif
