/* cli/line_editor.h - lines typed on a terminal, with editing and a history where libedit is there
 * (line_editor_libedit.c) and without where it is not (line_editor_plain.c). */
#ifndef FIRN_CLI_LINE_EDITOR_H
#define FIRN_CLI_LINE_EDITOR_H

/* Reads the history of earlier sessions from ~/.firn_history. */
void line_editor_open(void);
/* The next line without its newline, to be freed; NULL at the end of input. */
char *line_editor_read(const char *prompt);
/* Writes the history back, readable by its owner only. */
void line_editor_close(void);

#endif
