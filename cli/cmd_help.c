/* firn help, firn options, firn version. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "verbs.h"

static void help_option(output *out, const cli_option *option) {
    char left[64];
    (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter ? "-" : " ",
                   option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
                   option->name, option->argument ? " " : "",
                   option->argument ? option->argument : "");
    (void)output_printf(out, "  %-24s %s\n", left, option->help);
}

/* The forms of a verb are separated by " | ". */
static void help_usage(output *out, const cli_verb *verb) {
    const char *lead = "usage:", *form = verb->usage;
    for (;;) {
        const char *end = strstr(form, " | ");
        int size = end ? (int)(end - form) : (int)strlen(form);
        (void)output_printf(out, "%-6s firn %s%s%.*s\n", lead, verb->name, size > 0 ? " " : "",
                            size, form);
        if (!end)
            return;
        lead = "";
        form = end + 3;
    }
}

void verb_print_help(output *out, const cli_verb *verb) {
    (void)output_printf(out, "firn %s - %s\n\n", verb->name, verb->summary);
    help_usage(out, verb);
    if (verb->alias)
        (void)output_printf(out, "       firn %s is the same\n", verb->alias);
    if (verb->help)
        (void)output_printf(out, "\n%s\n", verb->help);
    if (verb->options || verb->engine_options)
        (void)output_text(out, "\noptions:\n");
    for (const cli_option *option = verb->options; option && option->name; option++)
        help_option(out, option);
    if (verb->engine_options)
        (void)output_printf(out, "  %-24s %s\n", "-o OPTION=VALUE",
                            "set an engine option (\"firn options\" lists them)");
}

static void help_overview(output *out) {
    (void)output_text(out, "Firn: an embedded, ordered, durable key-value store.\n\n"
                           "usage: firn VERB DB [ARGUMENTS] [OPTIONS]\n\n");
    const cli_verb *verb;
    for (size_t i = 0; (verb = cli_verb_at(i)) != NULL; i++)
        (void)output_printf(out, "  %-12s %s\n", verb->name, verb->summary);
    (void)output_text(
        out, "\n\"firn help VERB\" tells more about one of them. DB is the database's directory.\n"
             "Keys and values are typed and shown with \\\\ \\t \\n \\r \\0 \\xHH for bytes that "
             "cannot\n"
             "be printed. Reading verbs work beside a running writer.\n"
             "Exit status: 0 done, 1 key not found, 2 wrong usage, 3 failed.\n");
}

int verb_help(cli_call *call) {
    if (call->positional_count == 0) {
        help_overview(call->out);
        return CLI_OK;
    }
    const char *name = call->positional[0];
    const cli_verb *verb = cli_verb_find(name);
    if (!verb) {
        const cli_verb *nearest = cli_verb_nearest(name);
        cli_message(call, "there is no verb \"%s\"%s%s%s", name, nearest ? "; did you mean \"" : "",
                    nearest ? nearest->name : "", nearest ? "\"?" : "");
        return CLI_USAGE;
    }
    verb_print_help(call->out, verb);
    return CLI_OK;
}

/* Breaks `text` at blanks so that it stays within 76 columns, each line indented by four. */
static void options_paragraph(output *out, const char *text) {
    enum { WIDTH = 72 };
    while (*text) {
        size_t size = strlen(text);
        if (size > WIDTH) {
            size = WIDTH;
            while (size > 0 && text[size] != ' ')
                size--;
            if (size == 0)
                size = strcspn(text, " ");
        }
        (void)output_printf(out, "    %.*s\n", (int)size, text);
        text += size;
        text += strspn(text, " ");
    }
}

int verb_options(cli_call *call) {
    firn_option_info info;
    for (size_t i = 0; firn_option_at(i, &info); i++) {
        (void)output_printf(call->out, "%s%s  (%s; default %s)\n", i > 0 ? "\n" : "", info.name,
                            info.type, info.default_value);
        options_paragraph(call->out, info.effect);
    }
    return CLI_OK;
}

int verb_version(cli_call *call) {
    (void)output_printf(call->out, "firn %s\n", firn_version());
    return CLI_OK;
}
