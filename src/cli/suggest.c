#include "cli/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

enum { NAME_CHARS_MAX = 95 };

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment, three rows of the table at a time. */
unsigned tbk_name_distance(const char *a, const char *b)
{
    size_t a_length = strnlen(a, NAME_CHARS_MAX);
    size_t b_length = strnlen(b, NAME_CHARS_MAX);
    unsigned rows[3][NAME_CHARS_MAX + 1];
    for (unsigned j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above_twice = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned replaced = above[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = smaller(replaced, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = smaller(row[j], above_twice[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

bool tbk_name_is_near(const char *given, const char *candidate)
{
    size_t length = strlen(given);
    if (length >= 2 && strncasecmp(given, candidate, length) == 0)
        return true;
    return tbk_name_distance(given, candidate) <= (length + 2) / 3;
}

const char *tbk_name_nearest(const char *given, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    unsigned nearest_distance = UINT_MAX;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = tbk_name_distance(given, names[i]);
        if (distance < nearest_distance && tbk_name_is_near(given, names[i])) {
            nearest = names[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
