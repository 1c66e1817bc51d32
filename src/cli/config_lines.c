#include "cli/config_lines.h"

#include <string.h>

static const char blanks[] = " \t\r\n";

/* Cuts a comment off: "#" or ";" at the beginning or after a blank. */
static void cut_comment(char *line)
{
    bool after_blank = true;
    for (char *c = line; *c != '\0'; c++) {
        if (after_blank && (*c == '#' || *c == ';')) {
            *c = '\0';
            return;
        }
        after_blank = strchr(blanks, *c) != NULL;
    }
}

char *tbk_config_lines_read(char *out, int out_bytes, void *argument)
{
    struct tbk_config_lines *lines = argument;
    if (getline(&lines->text, &lines->text_bytes, lines->stream) < 0)
        return NULL;
    lines->number++;
    cut_comment(lines->text);
    const char *begin = lines->text + strspn(lines->text, blanks);
    size_t length = strlen(begin);
    while (length > 0 && strchr(blanks, begin[length - 1]) != NULL)
        length--;
    if (length + sizeof "\n" > (size_t)out_bytes) {
        lines->too_long = true;
        return NULL;
    }
    snprintf(out, (size_t)out_bytes, "%.*s\n", (int)length, begin);
    return out;
}
