/* firn import: records from lines; files are in import_files.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "escape.h"
#include "import.h"
#include "json.h"
#include "lines.h"
#include "record.h"
#include "util/text.h"
#include "verbs.h"

/* Reads one line. false: *problem. */
typedef bool (*import_parser)(slice line, cli_record *record, const char **problem);

typedef struct import_source {
    const char *name;
    lines in;
    import_parser parse;
    cli_record record;
} import_source;

/* What stands behind a second tab. */
static bool import_parse_expiry(slice text, uint64_t *out, const char **problem) {
    if (record_parse_time(text, out))
        return true;
    *problem = "behind a second tab stands when the value expires, in milliseconds since 1970; "
               "inside a value write \\t";
    return false;
}

/* key<TAB>value, each escaped, and <TAB>milliseconds where it expires. */
static bool import_parse_tsv(slice line, cli_record *record, const char **problem) {
    const uint8_t *tab = line.size > 0 ? memchr(line.data, '\t', line.size) : NULL;
    if (!tab) {
        *problem = "no tab between key and value";
        return false;
    }
    size_t key_size = (size_t)(tab - line.data);
    slice value = slice_skip(line, key_size + 1);
    tab = value.size > 0 ? memchr(value.data, '\t', value.size) : NULL;
    record->expires_at_ms = 0;
    if (tab) {
        slice rest = slice_skip(value, (size_t)(tab - value.data) + 1);
        if (!import_parse_expiry(rest, &record->expires_at_ms, problem))
            return false;
        value.size = (size_t)(tab - value.data);
    }
    buf_clear(&record->key);
    buf_clear(&record->value);
    return escape_parse(slice_of(line.data, key_size), &record->key, problem) &&
           escape_parse(value, &record->value, problem);
}

static int import_line(import_sink *sink, import_source *source, slice line) {
    const char *problem = NULL;
    const cli_record *record = &source->record;
    if (!source->parse(line, &source->record, &problem)) {
        cli_message(sink->call, "%s:%llu: %s", source->name, (unsigned long long)source->in.number,
                    problem);
        return CLI_FAILED;
    }
    if (record->key.out_of_memory || record->value.out_of_memory)
        return cli_no_memory(sink->call);
    uint64_t number = source->in.number;
    int code = import_sink_put(sink, buf_slice(&record->key), buf_slice(&record->value),
                               record->expires_at_ms);
    if (code != CLI_OK)
        cli_message(sink->call, "%s: stopped at line %llu", source->name,
                    (unsigned long long)number);
    return code;
}

static int import_input_error(import_sink *sink, const import_source *source) {
    if (source->in.os_errno == EFBIG)
        cli_message(sink->call, "%s:%llu: the line is longer than any record", source->name,
                    (unsigned long long)source->in.number + 1);
    else
        (void)cli_os_error(sink->call, source->name, source->in.os_errno);
    return CLI_FAILED;
}

static int import_all_lines(import_sink *sink, import_source *source) {
    int code = CLI_OK;
    slice line;
    while (code == CLI_OK) {
        /* What has arrived is acknowledged before waiting for more. */
        if (lines_would_wait(&source->in))
            code = import_sink_flush(sink);
        if (code != CLI_OK)
            break;
        lines_result result = lines_next(&source->in, &line);
        if (result == LINES_END)
            break;
        code = result == LINES_LINE ? import_line(sink, source, line)
                                    : import_input_error(sink, source);
        progress_update(&sink->bar, source->in.number, source->in.bytes_read);
    }
    /* The lines before a bad one are good. */
    int flushed = import_sink_flush(sink);
    return code == CLI_OK ? flushed : code;
}

static void import_summary(const import_sink *sink, double seconds) {
    char count[32], bytes[16];
    if (args_given(sink->call, "quiet"))
        return;
    cli_message(sink->call, "%s record%s, %s in %.1f s", cli_count(sink->acknowledged, count),
                cli_plural(sink->acknowledged), text_bytes(sink->acknowledged_bytes, bytes),
                seconds);
}

/* Regular files only: of a pipe nobody knows how much will come. */
static int import_open_source(cli_call *call, const char *path, int *fd, uint64_t *total) {
    struct stat st;
    *total = 0;
    *fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0)
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return cli_os_error(call, path, errno);
    if (S_ISDIR(st.st_mode)) {
        cli_message(call, "%s is a directory; to import its files use --files %s", path, path);
        return CLI_USAGE;
    }
    if (S_ISREG(st.st_mode))
        *total = (uint64_t)st.st_size;
    return CLI_OK;
}

static int import_lines(cli_call *call) {
    import_sink sink = {.ack_fd = -1, .call = call};
    import_source source = {0};
    uint64_t total = 0;
    int fd = -1, format;
    const char *path = call->positional_count > 1 ? call->positional[1] : "-";
    int code = args_choice(call, "format", "tsv|jsonl", &format);
    source.name = strcmp(path, "-") == 0 ? "standard input" : path;
    source.parse = format == 0 ? import_parse_tsv : json_record_parse;
    if (code == CLI_OK)
        code = import_open_source(call, path, &fd, &total);
    if (code == CLI_OK) {
        lines_init(&source.in, fd);
        code = import_sink_open(&sink, call);
        progress_start(&sink.bar, !args_given(call, "quiet"), "records", total);
        bool opened = code == CLI_OK;
        double seconds = 0;
        if (opened) {
            code = import_all_lines(&sink, &source);
            seconds = progress_seconds(&sink.bar);
        }
        code = import_sink_close(&sink, code);
        if (opened)
            import_summary(&sink, seconds);
    }
    lines_deinit(&source.in);
    buf_deinit(&source.record.key);
    buf_deinit(&source.record.value);
    if (fd > STDIN_FILENO)
        (void)close(fd);
    return code;
}

int verb_import(cli_call *call) {
    if (!args_given(call, "files"))
        return args_given(call, "prefix") ? cli_usage_error(call, "--prefix goes with --files")
                                          : import_lines(call);
    if (call->positional_count > 1)
        return cli_usage_error(call, "--files and a file of records exclude each other");
    if (args_given(call, "format"))
        return cli_usage_error(call, "--format is for records, not for --files");
    return import_files(call);
}
