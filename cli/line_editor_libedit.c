#include "line_editor.h"

#include <editline/readline.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_EDITOR_HISTORY_LINES = 1000 };

/* NULL without a home directory. */
static const char *line_editor_history_path(char path[PATH_MAX]) {
    const char *home = getenv("HOME");
    if (!home || home[0] != '/')
        return NULL;
    int size = snprintf(path, PATH_MAX, "%s/.firn_history", home);
    return size > 0 && size < PATH_MAX ? path : NULL;
}

void line_editor_open(void) {
    char path[PATH_MAX];
    static char name[] = "firn";
    rl_readline_name = name;
    using_history();
    stifle_history(LINE_EDITOR_HISTORY_LINES);
    if (line_editor_history_path(path))
        (void)read_history(path); /* A missing file is an empty history. */
}

char *line_editor_read(const char *prompt) {
    char *line = readline(prompt);
    if (!line)
        return NULL;
    HISTORY_STATE *state = history_get_history_state();
    HIST_ENTRY *last =
        state && state->length > 0 ? history_get(history_base + state->length - 1) : NULL;
    if (line[0] != '\0' && (!last || strcmp(last->line, line) != 0))
        (void)add_history(line);
    free(state);
    return line;
}

void line_editor_close(void) {
    char path[PATH_MAX];
    if (!line_editor_history_path(path))
        return;
    /* Values may be secrets. */
    mode_t before = umask(077);
    if (write_history(path) != 0)
        (void)fprintf(stderr, "firn shell: the history could not be written to %s\n", path);
    (void)umask(before);
}
