#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80 };

const char *tbk_tone_start(enum tbk_tone tone)
{
    switch (tone) {
    case TBK_TONE_NONE:
        return "";
    case TBK_TONE_BOLD:
        return "\033[1m";
    case TBK_TONE_GAIN:
        return "\033[32m";
    case TBK_TONE_LOSS:
        return "\033[31m";
    case TBK_TONE_ALARM:
        return "\033[1;37;41m";
    }
    return "";
}

size_t tbk_terminal_width(FILE *out)
{
    struct winsize size;
    if (!isatty(fileno(out)))
        return 0;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col;
}

bool tbk_terminal_styled(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return isatty(fileno(out)) && term != NULL && strcmp(term, "dumb") != 0;
}

/* Read from the variables and not through setlocale: a locale that is not
 * installed here, as in small containers, is still what the terminal shows. */
bool tbk_terminal_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *locale = getenv(names[i]);
        if (locale == NULL || locale[0] == '\0')
            continue;
        const char *codeset = strchr(locale, '.');
        return codeset != NULL &&
               (strncasecmp(codeset, ".UTF-8", 6) == 0 || strncasecmp(codeset, ".UTF8", 5) == 0);
    }
    return false;
}
