/* firn shell: the verbs on one open database, typed or from a script. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "line_editor.h"
#include "lines.h"
#include "verbs.h"

enum { SHELL_WORDS_MAX = 256 };

typedef struct shell {
    cli_call *call;
    firn_db *db;
    uint64_t line_number; /* 0 on a terminal, where no message needs it */
    bool quit;
} shell;

static bool shell_is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes one word off *rest, in place. Quotes keep blanks and are dropped; a backslash stays with
 * the character behind it, for the verb to read, unless that is a quote or a blank. NULL at the
 * end; *broken when a quote does not close. */
static char *shell_next_word(char **rest, bool *broken) {
    char *from = *rest;
    while (shell_is_blank(*from))
        from++;
    if (*from == '\0' || *from == '#')
        return NULL;
    char *word = from, *to = from, quote = 0;
    while (*from && (quote || !shell_is_blank(*from))) {
        char c = *from++;
        if (quote ? c == quote : (c == '"' || c == '\'')) {
            quote = quote ? 0 : c;
            continue;
        }
        if (c == '\\' && *from) {
            bool plain = *from == '"' || *from == '\'' || *from == ' ';
            if (!plain)
                *to++ = c;
            c = *from++;
        }
        *to++ = c;
    }
    *broken = quote != 0;
    *rest = *from ? from + 1 : from;
    *to = '\0';
    return word;
}

/* The words after position `count`. -1: a message has been printed. */
static int shell_split(const shell *sh, char *line, char **argv, int count) {
    bool broken = false;
    char *word;
    while ((word = shell_next_word(&line, &broken)) != NULL) {
        if (broken || count == SHELL_WORDS_MAX) {
            cli_message(sh->call, "%s", broken ? "a quote is not closed" : "too many words");
            return -1;
        }
        argv[count++] = word;
    }
    return count;
}

static int shell_help(shell *sh, int argc, char **argv) {
    output *out = sh->call->out;
    const cli_verb *verb = argc > 2 ? cli_verb_find(argv[2]) : NULL;
    if (verb && verb->in_shell) {
        verb_print_help(out, verb);
        (void)output_text(out, "\nIn the shell, leave out \"firn\", DB and -o.\n");
        return CLI_OK;
    }
    for (size_t i = 0; (verb = cli_verb_at(i)) != NULL; i++)
        if (verb->in_shell)
            (void)output_printf(out, "  %-12s %s\n", verb->name, verb->summary);
    (void)output_text(out, "  help VERB    tell about one of them\n  quit         leave\n");
    return CLI_OK;
}

static int shell_unknown(const shell *sh, const char *name) {
    const cli_verb *nearest = cli_verb_nearest(name);
    if (nearest && nearest->in_shell)
        cli_message(sh->call, "there is no command \"%s\"; did you mean \"%s\"?", name,
                    nearest->name);
    else
        cli_message(sh->call, "there is no command \"%s\"; \"help\" lists them", name);
    return CLI_USAGE;
}

/* Runs one line. argv is [verb, database, words...]: what the verb would see as a process. */
static int shell_run_words(shell *sh, int argc, char **argv) {
    char label[96];
    if (strcmp(argv[0], "quit") == 0 || strcmp(argv[0], "exit") == 0) {
        sh->quit = true;
        return CLI_OK;
    }
    if (strcmp(argv[0], "help") == 0)
        return shell_help(sh, argc, argv);
    const cli_verb *verb = cli_verb_find(argv[0]);
    if (!verb || !verb->in_shell)
        return shell_unknown(sh, argv[0]);
    if (sh->line_number > 0)
        (void)snprintf(label, sizeof label, "firn shell: line %llu: %s",
                       (unsigned long long)sh->line_number, verb->name);
    else
        (void)snprintf(label, sizeof label, "%s", verb->name);
    return cli_run(verb, &(cli_setting){label, sh->call->out, sh->db}, argc, argv);
}

static int shell_run_line(shell *sh, char *line) {
    char label[64];
    char *argv[SHELL_WORDS_MAX + 1];
    const char *label_before = sh->call->label;
    bool broken = false;
    int code = CLI_USAGE;
    if (sh->line_number > 0) {
        (void)snprintf(label, sizeof label, "firn shell: line %llu",
                       (unsigned long long)sh->line_number);
        sh->call->label = label;
    }
    argv[0] = shell_next_word(&line, &broken);
    if (!argv[0]) {
        code = CLI_OK;
    } else if (broken) {
        cli_message(sh->call, "a quote is not closed");
    } else {
        argv[1] = sh->call->positional[0];
        int argc = shell_split(sh, line, argv, 2);
        if (argc > 0)
            code = shell_run_words(sh, argc, argv);
    }
    sh->call->label = label_before;
    return code;
}

static void shell_interactive(shell *sh) {
    line_editor_open();
    (void)printf("firn %s, database %s; \"help\" lists the commands, \"quit\" leaves\n",
                 firn_version(), sh->call->positional[0]);
    (void)fflush(stdout);
    while (!sh->quit) {
        char *line = line_editor_read("firn> ");
        if (!line) {
            (void)output_text(sh->call->out, "\n");
            break;
        }
        (void)shell_run_line(sh, line);
        free(line);
        if (!output_flush(sh->call->out))
            break;
    }
    line_editor_close();
}

/* A line of a script as a string. */
static int shell_script_line(shell *sh, slice line, buf *text) {
    if (line.size > 0 && memchr(line.data, '\0', line.size)) {
        cli_message(sh->call, "line %llu holds a zero byte; write it as \\0",
                    (unsigned long long)sh->line_number);
        return CLI_USAGE;
    }
    buf_clear(text);
    buf_append_slice(text, line);
    buf_append(text, "", 1);
    if (text->out_of_memory)
        return cli_no_memory(sh->call);
    return shell_run_line(sh, (char *)text->data);
}

/* The status is that of the first error, or CLI_NOT_FOUND if all that went wrong was a key that is
 * not there: absence is an answer and stops nothing. */
static int shell_script(shell *sh) {
    lines in;
    slice line;
    buf text = {0};
    bool keeps_going = args_given(sh->call, "keep-going");
    int code = CLI_OK;
    lines_result result = LINES_LINE;
    lines_init(&in, STDIN_FILENO);
    while (!sh->quit && sh->call->out->os_errno == 0) {
        /* Whoever waits for our answer before asking on gets it. */
        if (lines_would_wait(&in) && !output_flush(sh->call->out))
            break;
        result = lines_next(&in, &line);
        if (result != LINES_LINE)
            break;
        sh->line_number = in.number;
        int line_code = shell_script_line(sh, line, &text);
        if (line_code != CLI_OK && code <= CLI_NOT_FOUND)
            code = line_code;
        if (line_code > CLI_NOT_FOUND && !keeps_going)
            break;
    }
    if (result == LINES_ERROR)
        code = cli_os_error(sh->call, "standard input", in.os_errno);
    lines_deinit(&in);
    buf_deinit(&text);
    return code;
}

int verb_shell(cli_call *call) {
    shell sh = {.call = call};
    cli_access access = args_given(call, "read-only") ? CLI_READ : CLI_WRITE_OR_CREATE;
    int code = cli_open(call, access, &sh.db);
    if (code != CLI_OK)
        return code;
    if (isatty(STDIN_FILENO) == 1)
        shell_interactive(&sh);
    else
        code = shell_script(&sh);
    return cli_close(call, sh.db, code);
}
