/* firn export: everything, as lines that firn import takes back; files are in export_files.c. */
#include <unistd.h>

#include "args.h"
#include "entry.h"
#include "export.h"
#include "progress.h"
#include "verbs.h"

/* The tables' bytes stand for the whole: near enough for a bar. */
static uint64_t export_estimate(firn_db *db) {
    firn_stats stats = {.size = sizeof stats};
    if (firn_get_stats(db, &stats) != FIRN_OK)
        return 0;
    return stats.table_bytes + stats.memtable_bytes;
}

static int export_entries(cli_call *call, firn_iter *it, progress *bar, export_entry each,
                          void *context) {
    uint64_t count = 0, bytes = 0;
    int code = CLI_OK;
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it)) {
        export_record record = {.key = firn_iter_key(it), .value = firn_iter_value(it)};
        if (!firn_iter_valid(it))
            break;
        record.expires_at_ms = firn_iter_expiry_ms(it);
        code = each(context, &record);
        if (code != CLI_OK)
            break;
        bytes += record.key.size + record.value.size;
        progress_update(bar, ++count, bytes);
    }
    progress_end(bar);
    firn_status st = firn_iter_status(it);
    if (st != FIRN_OK)
        return cli_engine_error(call, st);
    return code == EXPORT_STOP ? CLI_OK : code;
}

int export_walk(cli_call *call, bool shows_progress, export_entry each, void *context) {
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    args_range range = {0};
    firn_db *db = NULL;
    firn_iter *it = NULL;
    progress bar;
    options.fill_cache = FIRN_NO;
    int code = args_range_read(call, &range, &options);
    if (code == CLI_OK)
        code = cli_open(call, CLI_READ, &db);
    if (code == CLI_OK) {
        firn_status st = firn_iter_new(db, &options, &it);
        progress_start(&bar, shows_progress, "records", export_estimate(db));
        code = st == FIRN_OK ? export_entries(call, it, &bar, each, context)
                             : cli_engine_error(call, st);
    }
    firn_iter_free(it);
    code = cli_close(call, db, code);
    args_range_deinit(&range);
    return code;
}

typedef struct export_lines {
    cli_call *call;
    entry_writer writer;
} export_lines;

static int export_line(void *context, const export_record *record) {
    export_lines *lines = context;
    lines->writer.expires_at_ms = record->expires_at_ms;
    if (entry_write(&lines->writer, record->key, record->value))
        return CLI_OK;
    return lines->writer.line.out_of_memory ? cli_no_memory(lines->call) : EXPORT_STOP;
}

int verb_export(cli_call *call) {
    const char *root = args_text(call, "files");
    export_lines lines = {.call = call, .writer = {.out = call->out}};
    int format;
    int code = args_choice(call, "format", "tsv|jsonl", &format);
    if (code != CLI_OK)
        return code;
    if (root && args_given(call, "format"))
        return cli_usage_error(call, "--format is for records, not for --files");
    if (root)
        return export_files(call, root);
    lines.writer.format = format == 0 ? ENTRY_TEXT : ENTRY_JSON;
    /* On a terminal the records themselves show how far it is. */
    bool shows_progress = !args_given(call, "quiet") && isatty(STDOUT_FILENO) != 1;
    code = export_walk(call, shows_progress, export_line, &lines);
    buf_deinit(&lines.writer.line);
    return code;
}
