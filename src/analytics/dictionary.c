#include "analytics/dictionary.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

void tbk_dictionary_fini(struct tbk_dictionary *dictionary)
{
    for (uint32_t i = 0; i < dictionary->count; i++) {
        free(dictionary->texts[i]);
    }
    free(dictionary->texts);
    free(dictionary->slots);
    *dictionary = (struct tbk_dictionary){0};
}

/* FNV-1a. */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261U;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619U;
    }
    return hash;
}

/* The slot that holds the text, or the empty one where it belongs. */
static uint32_t slot_of(const struct tbk_dictionary *dictionary, const char *text)
{
    const uint32_t mask = dictionary->slot_count - 1;
    uint32_t slot = hash_of(text) & mask;
    while (dictionary->slots[slot] != 0 && strcmp(dictionary->texts[dictionary->slots[slot]], text) != 0) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

bool tbk_dictionary_find(const struct tbk_dictionary *dictionary, const char *text, uint32_t *ret_number)
{
    if (text == NULL) {
        *ret_number = 0;
        return true;
    }
    const uint32_t number = dictionary->slot_count > 0 ? dictionary->slots[slot_of(dictionary, text)] : 0;
    if (number == 0) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* Makes room for one more text; at most half of the slots are taken. */
static bool grow(struct tbk_dictionary *dictionary)
{
    if (dictionary->count < dictionary->capacity) {
        return true;
    }
    const uint32_t slot_count = dictionary->slot_count > 0 ? 2 * dictionary->slot_count : FIRST_SLOTS;
    char **texts = realloc(dictionary->texts, slot_count / 2 * sizeof *texts);
    if (texts == NULL) {
        return false;
    }
    dictionary->texts = texts;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->bytes += (slot_count - dictionary->slot_count) * (sizeof *slots + sizeof *texts / 2);
    dictionary->slot_count = slot_count;
    dictionary->capacity = slot_count / 2;
    if (dictionary->count == 0) {
        texts[dictionary->count++] = NULL;
    }
    for (uint32_t i = 1; i < dictionary->count; i++) {
        slots[slot_of(dictionary, texts[i])] = i;
    }
    return true;
}

bool tbk_dictionary_put(struct tbk_dictionary *dictionary, const char *text, uint32_t *ret_number)
{
    if (tbk_dictionary_find(dictionary, text, ret_number)) {
        return true;
    }
    char *copy = strdup(text);
    if (copy == NULL || !grow(dictionary)) {
        free(copy);
        return false;
    }
    const uint32_t number = dictionary->count++;
    dictionary->texts[number] = copy;
    dictionary->bytes += strlen(copy) + 1;
    dictionary->slots[slot_of(dictionary, copy)] = number;
    *ret_number = number;
    return true;
}
