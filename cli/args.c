#include "args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"

static int args_option_index(const cli_verb *verb, const char *name, size_t name_size) {
    if (!verb->options)
        return -1;
    for (int i = 0; verb->options[i].name; i++) {
        const char *candidate = verb->options[i].name;
        if (strlen(candidate) == name_size && memcmp(candidate, name, name_size) == 0)
            return i;
    }
    return -1;
}

static int args_letter_index(const cli_verb *verb, char letter) {
    if (!verb->options)
        return -1;
    for (int i = 0; verb->options[i].name; i++)
        if (verb->options[i].letter == letter)
            return i;
    return -1;
}

/* `setting` is "name=value". */
static int args_set_engine(cli_call *call, const char *setting) {
    char name[64];
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting)
        return cli_usage_error(call, "-o wants option=value, not \"%s\"", setting);
    size_t name_size = (size_t)(equals - setting);
    if (name_size >= sizeof name)
        return cli_usage_error(call, "no engine option \"%.*s\"", (int)name_size, setting);
    memcpy(name, setting, name_size);
    name[name_size] = '\0';
    if (firn_options_set(&call->engine, name, equals + 1) != FIRN_OK)
        return cli_usage_error(call, "-o %s: %s", setting, firn_error_detail());
    return CLI_OK;
}

/* The words of one command line while they are read. */
typedef struct args_cursor {
    char **argv;
    int argc;
    int next;
} args_cursor;

/* Stores the value of option `index`: `inline_value`, or the next word. */
static int args_store(cli_call *call, args_cursor *words, int index, const char *inline_value) {
    const cli_option *option = &call->verb->options[index];
    if (!option->argument) {
        if (inline_value)
            return cli_usage_error(call, "--%s takes no value", option->name);
        call->values[index] = "";
        return CLI_OK;
    }
    if (!inline_value) {
        if (words->next >= words->argc)
            return cli_usage_error(call, "--%s wants a value: %s", option->name, option->argument);
        inline_value = words->argv[words->next++];
    }
    call->values[index] = inline_value;
    return CLI_OK;
}

static int args_take_long(cli_call *call, args_cursor *words, const char *word) {
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    size_t name_size = equals ? (size_t)(equals - name) : strlen(name);
    if (!equals && strcmp(name, "help") == 0) {
        call->wants_help = true;
        return CLI_OK;
    }
    int index = args_option_index(call->verb, name, name_size);
    if (index < 0)
        return cli_usage_error(call, "unknown option --%.*s", (int)name_size, name);
    return args_store(call, words, index, equals ? equals + 1 : NULL);
}

/* One or more letters; the first that takes a value takes the rest of the word, or the next. */
static int args_take_short(cli_call *call, args_cursor *words, const char *word) {
    int code = CLI_OK;
    for (const char *letter = word + 1; *letter && code == CLI_OK; letter++) {
        const char *attached = letter[1] ? letter + 1 : NULL;
        int index = args_letter_index(call->verb, *letter);
        if (*letter == 'h') {
            call->wants_help = true;
        } else if (*letter == 'o' && call->verb->engine_options && !call->session) {
            if (!attached && words->next >= words->argc)
                return cli_usage_error(call, "-o wants option=value");
            return args_set_engine(call, attached ? attached : words->argv[words->next++]);
        } else if (index < 0) {
            return cli_usage_error(call, "unknown option %s (after \"--\" words are never options)",
                                   word);
        } else if (call->verb->options[index].argument) {
            return args_store(call, words, index, attached);
        } else {
            code = args_store(call, words, index, NULL);
        }
    }
    return code;
}

int args_parse(cli_call *call, int argc, char **argv) {
    args_cursor words = {.argv = argv, .argc = argc, .next = 1};
    bool only_positionals = false;
    call->positional = argv + 1;
    call->positional_count = 0;
    while (words.next < argc) {
        char *word = argv[words.next++];
        int code = CLI_OK;
        /* A lone "-" is a positional: standard input. */
        if (only_positionals || word[0] != '-' || word[1] == '\0')
            call->positional[call->positional_count++] = word;
        else if (strcmp(word, "--") == 0)
            only_positionals = true;
        else if (word[1] == '-')
            code = args_take_long(call, &words, word);
        else
            code = args_take_short(call, &words, word);
        if (code != CLI_OK)
            return code;
    }
    if (call->wants_help)
        return CLI_OK;
    if (call->positional_count < call->verb->positional_min)
        return cli_usage_error(call, "something is missing; usage: firn %s %s", call->verb->name,
                               call->verb->usage);
    if (call->positional_count > call->verb->positional_max)
        return cli_usage_error(call, "\"%s\" is too much; usage: firn %s%s%s",
                               call->positional[call->verb->positional_max], call->verb->name,
                               *call->verb->usage ? " " : "", call->verb->usage);
    return CLI_OK;
}

const char *args_text(const cli_call *call, const char *name) {
    int index = args_option_index(call->verb, name, strlen(name));
    CHECK(index >= 0 && index < CLI_OPTIONS_MAX);
    return call->values[index];
}

bool args_given(const cli_call *call, const char *name) {
    return args_text(call, name) != NULL;
}

int args_number(const cli_call *call, const char *name, uint64_t fallback, uint64_t *out) {
    const char *text = args_text(call, name);
    char *end;
    *out = fallback;
    if (!text)
        return CLI_OK;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return cli_usage_error(call, "--%s wants a whole number, not \"%s\"", name, text);
    *out = number;
    return CLI_OK;
}

int args_span_ms(const cli_call *call, const char *name, uint64_t *out) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000},    {"ms", 1},       {"s", 1000},
                 {"m", 60000u}, {"h", 3600000u}, {"d", 86400000u}};
    const char *text = args_text(call, name);
    char *end;
    *out = 0;
    if (!text)
        return CLI_OK;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (*text < '0' || *text > '9' || errno || strcmp(end, units[i].unit) != 0)
            continue;
        if (number == 0 || number > UINT64_MAX / 2 / units[i].ms)
            break;
        *out = number * units[i].ms;
        return CLI_OK;
    }
    return cli_usage_error(call, "--%s takes a span such as 500ms, 30s, 15m, 2h or 7d, not '%s'",
                           name, text);
}

int args_choice(const cli_call *call, const char *name, const char *words, int *out) {
    const char *text = args_text(call, name);
    *out = 0;
    if (!text)
        return CLI_OK;
    const char *word = words;
    for (int position = 0;; position++) {
        size_t size = strcspn(word, "|");
        if (strlen(text) == size && memcmp(text, word, size) == 0) {
            *out = position;
            return CLI_OK;
        }
        if (word[size] == '\0')
            return cli_usage_error(call, "--%s wants one of %s, not \"%s\"", name, words, text);
        word += size + 1;
    }
}

int args_bytes(const cli_call *call, const char *what, const char *typed, buf *out) {
    const char *problem = NULL;
    buf_clear(out);
    /* So that an empty key is {"", 0} and not "unset". */
    if (!buf_reserve(out, 1))
        return cli_no_memory(call);
    if (!escape_parse(slice_from_string(typed), out, &problem))
        return cli_usage_error(call, "%s \"%s\": %s; write a backslash as \\\\", what, typed,
                               problem);
    return buf_status(out).code == FIRN_OK ? CLI_OK : cli_no_memory(call);
}

static int args_bound(const cli_call *call, const char *name, buf *into, firn_slice *bound) {
    const char *typed = args_text(call, name);
    if (!typed)
        return CLI_OK;
    int code = args_bytes(call, name, typed, into);
    if (code == CLI_OK)
        *bound = buf_slice(into);
    return code;
}

int args_range_read(const cli_call *call, args_range *range, firn_read_options *options) {
    int code = args_bound(call, "from", &range->from, &options->lower);
    if (code == CLI_OK)
        code = args_bound(call, "to", &range->to, &options->upper);
    if (code == CLI_OK)
        code = args_bound(call, "prefix", &range->prefix, &options->prefix);
    return code;
}

void args_range_deinit(args_range *range) {
    buf_deinit(&range->from);
    buf_deinit(&range->to);
    buf_deinit(&range->prefix);
}
