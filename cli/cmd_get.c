/* firn get, firn scan: reading. */
#include <stdlib.h>

#include "args.h"
#include "entry.h"
#include "escape.h"
#include "verbs.h"

/* Raw bytes and nothing else outside the shell, so that pipes get exactly the value. */
static int get_print(cli_call *call, const firn_value *value) {
    slice bytes = slice_of(value->data, value->size);
    buf line = {0};
    int format;
    int code = args_choice(call, "format", "raw|text|hex", &format);
    if (code != CLI_OK)
        return code;
    if ((call->session || call->positional_count > 2) && !args_given(call, "format"))
        format = 1;
    if (format == 0) {
        (void)output_slice(call->out, bytes);
        return CLI_OK;
    }
    if (format == 1)
        escape_append(&line, bytes);
    else
        escape_append_hex(&line, bytes);
    buf_append(&line, "\n", 1);
    if (line.out_of_memory)
        code = cli_no_memory(call);
    else
        (void)output_slice(call->out, buf_slice(&line));
    buf_deinit(&line);
    return code;
}

static int get_print_expiry(cli_call *call, const firn_value *value) {
    buf line = {0};
    int code = CLI_OK;
    if (value->expiry_ms)
        buf_printf(&line, "%llu\n", (unsigned long long)value->expiry_ms);
    else
        buf_printf(&line, "never\n");
    if (line.out_of_memory)
        code = cli_no_memory(call);
    else
        (void)output_slice(call->out, buf_slice(&line));
    buf_deinit(&line);
    return code;
}

/* What came of one key; releases the value. */
static int get_show(cli_call *call, const char *typed, firn_status found, firn_value *value) {
    int code;
    if (found == FIRN_OK) {
        code = args_given(call, "with-expiry") ? get_print_expiry(call, value) : CLI_OK;
        if (code == CLI_OK)
            code = get_print(call, value);
        found = firn_value_check(value); /* what was printed may have been zeros for lost bytes */
        if (code == CLI_OK && found != FIRN_OK)
            code = cli_engine_error(call, found);
    } else if (found == FIRN_NOT_FOUND) {
        cli_message(call, "no such key: %s", typed);
        code = CLI_NOT_FOUND;
    } else {
        code = cli_engine_error(call, found);
    }
    firn_value_release(value);
    return code;
}

typedef struct get_many {
    size_t count;
    buf *bytes; /* the keys' */
    firn_slice *keys;
    firn_value *values;
    firn_status *statuses;
} get_many;

static void get_many_deinit(get_many *g) {
    for (size_t i = 0; g->bytes && i < g->count; i++)
        buf_deinit(&g->bytes[i]);
    free(g->bytes);
    free(g->keys);
    free(g->values);
    free(g->statuses);
}

static int get_many_init(cli_call *call, get_many *g) {
    size_t count = (size_t)call->positional_count - 1;
    *g = (get_many){.count = count,
                    .bytes = calloc(count, sizeof *g->bytes),
                    .keys = calloc(count, sizeof *g->keys),
                    .values = calloc(count, sizeof *g->values),
                    .statuses = calloc(count, sizeof *g->statuses)};
    if (!g->bytes || !g->keys || !g->values || !g->statuses)
        return cli_no_memory(call);
    for (size_t i = 0; i < count; i++) {
        int code = args_bytes(call, "key", call->positional[i + 1], &g->bytes[i]);
        if (code != CLI_OK)
            return code;
        g->keys[i] = buf_slice(&g->bytes[i]);
    }
    return CLI_OK;
}

/* Several keys: one that is missing does not keep the others from being shown. */
static int get_keys(cli_call *call, firn_db *db, get_many *g) {
    int worst = CLI_OK;
    firn_status st = firn_multi_get(db, NULL, g->count, g->keys, g->values, g->statuses);
    if (st == FIRN_INVALID_ARGUMENT)
        return cli_engine_error(call, st);
    for (size_t i = 0; i < g->count; i++) {
        int code = get_show(call, call->positional[i + 1], g->statuses[i], &g->values[i]);
        if (code != CLI_OK && worst != CLI_FAILED)
            worst = code;
    }
    return worst;
}

int verb_get(cli_call *call) {
    get_many g;
    firn_db *db = NULL;
    int code = get_many_init(call, &g);
    if (code == CLI_OK)
        code = cli_open(call, CLI_READ, &db);
    if (code == CLI_OK && g.count > 1) {
        code = get_keys(call, db, &g);
    } else if (code == CLI_OK) {
        firn_status found = firn_get(db, NULL, g.keys[0], &g.values[0]);
        code = get_show(call, call->positional[1], found, &g.values[0]);
    }
    get_many_deinit(&g);
    return cli_close(call, db, code);
}

typedef struct scan_plan {
    entry_writer writer;
    uint64_t limit;
    bool reverse;
} scan_plan;

/* Writes entries until the end, the limit, or an output that takes no more. */
static void scan_walk(scan_plan *plan, firn_iter *it) {
    uint64_t count = 0;
    if (plan->reverse)
        firn_iter_seek_last(it);
    else
        firn_iter_seek_first(it);
    while (count < plan->limit && firn_iter_valid(it)) {
        firn_slice value = {NULL, 0};
        firn_slice key = firn_iter_key(it);
        if (!plan->writer.keys_only)
            value = firn_iter_value(it);
        /* Reading a large value may have failed. */
        if (!firn_iter_valid(it) || !entry_write(&plan->writer, key, value))
            break;
        count++;
        if (plan->reverse)
            firn_iter_prev(it);
        else
            firn_iter_next(it);
    }
}

static int scan_database(cli_call *call, const firn_read_options *options, scan_plan *plan) {
    firn_db *db;
    firn_iter *it = NULL;
    int code = cli_open(call, CLI_READ, &db);
    if (code != CLI_OK)
        return code;
    firn_status st = firn_iter_new(db, options, &it);
    if (st == FIRN_OK) {
        scan_walk(plan, it);
        st = firn_iter_status(it);
    }
    if (st != FIRN_OK)
        code = cli_engine_error(call, st);
    else if (plan->writer.line.out_of_memory)
        code = cli_no_memory(call);
    firn_iter_free(it);
    return cli_close(call, db, code);
}

int verb_scan(cli_call *call) {
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    args_range range = {0};
    int format = 0;
    scan_plan plan = {
        .writer = {.out = call->out, .keys_only = args_given(call, "keys-only")},
        .reverse = args_given(call, "reverse"),
    };
    int code = args_range_read(call, &range, &options);
    if (code == CLI_OK)
        code = args_choice(call, "format", "text|json|hex|raw", &format);
    if (code == CLI_OK)
        code = args_number(call, "limit", UINT64_MAX, &plan.limit);
    plan.writer.format = (entry_format)format;
    if (code == CLI_OK)
        code = scan_database(call, &options, &plan);
    buf_deinit(&plan.writer.line);
    args_range_deinit(&range);
    return code;
}
