#include "line_editor.h"

#include <stdio.h>
#include <stdlib.h>

void line_editor_open(void) {
}

char *line_editor_read(const char *prompt) {
    char *line = NULL;
    size_t room = 0;
    (void)fputs(prompt, stdout);
    (void)fflush(stdout);
    ssize_t size = getline(&line, &room, stdin);
    if (size < 0) {
        free(line);
        return NULL;
    }
    if (line[size - 1] == '\n')
        line[size - 1] = '\0';
    return line;
}

void line_editor_close(void) {
}
