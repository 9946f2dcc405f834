/* firn put, firn delete, firn delete-range: single writes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "escape.h"
#include "verbs.h"

static const size_t put_value_bytes_max = (size_t)1 << 30;

/* --raw takes the words of the command line as they are. */
static int put_typed(const cli_call *call, const char *what, const char *typed, buf *out) {
    if (!args_given(call, "raw"))
        return args_bytes(call, what, typed, out);
    buf_append(out, typed, strlen(typed));
    return out->out_of_memory ? cli_no_memory(call) : CLI_OK;
}

/* Reads to the end, but not much further than the largest value. */
static int put_read(const cli_call *call, const char *name, int fd, buf *value) {
    enum { READ_BYTES = 1 << 20 };
    for (;;) {
        uint8_t *to = buf_reserve(value, READ_BYTES);
        if (!to)
            return cli_no_memory(call);
        ssize_t got = read(fd, to, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cli_os_error(call, name, errno);
        if (got == 0)
            return CLI_OK;
        value->size += (size_t)got;
        if (value->size > put_value_bytes_max) {
            cli_message(call, "TOO_LARGE: %s holds more than a value can (1 GiB)", name);
            return CLI_FAILED;
        }
    }
}

static int put_read_file(const cli_call *call, const char *path, buf *value) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_os_error(call, path, errno);
    /* A hint only: one allocation instead of a growing one. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        st.st_size <= (off_t)put_value_bytes_max)
        (void)buf_reserve(value, (size_t)st.st_size + (1 << 20));
    int code = put_read(call, path, fd, value);
    (void)close(fd);
    return code;
}

static int put_value(const cli_call *call, buf *value) {
    const char *file = args_text(call, "file");
    bool typed = call->positional_count == 3;
    if (file && typed)
        return cli_usage_error(call, "VALUE and --file exclude each other");
    if (file)
        return put_read_file(call, file, value);
    if (!typed)
        return cli_usage_error(call, "a VALUE, \"-\" or --file FILE is missing");
    if (strcmp(call->positional[2], "-") == 0 && call->session)
        return cli_usage_error(call, "in the shell a value cannot come from standard input; "
                                     "for a value of one dash write \\x2d");
    if (strcmp(call->positional[2], "-") == 0)
        return put_read(call, "standard input", STDIN_FILENO, value);
    return put_typed(call, "value", call->positional[2], value);
}

static firn_write_options put_write_options(const cli_call *call) {
    firn_write_options options = FIRN_WRITE_OPTIONS_INIT;
    if (args_given(call, "sync"))
        options.sync = FIRN_YES;
    return options;
}

int verb_put(cli_call *call) {
    buf key = {0}, value = {0};
    firn_db *db = NULL;
    firn_write_options options = put_write_options(call);
    int code = args_span_ms(call, "ttl", &options.ttl_ms);
    if (code == CLI_OK)
        code = put_typed(call, "key", call->positional[1], &key);
    if (code == CLI_OK)
        code = put_value(call, &value);
    if (code == CLI_OK)
        code = cli_open(call, CLI_WRITE_OR_CREATE, &db);
    if (code == CLI_OK) {
        firn_status put = firn_put(db, &options, buf_slice(&key), buf_slice(&value));
        if (put != FIRN_OK)
            code = cli_engine_error(call, put);
    }
    code = cli_close(call, db, code);
    buf_deinit(&key);
    buf_deinit(&value);
    return code;
}

/* Several keys go in one batch: all or none. */
static int delete_keys(cli_call *call, firn_batch *batch) {
    buf key = {0};
    int code = CLI_OK;
    for (int i = 1; i < call->positional_count && code == CLI_OK; i++) {
        buf_clear(&key);
        code = put_typed(call, "key", call->positional[i], &key);
        if (code != CLI_OK)
            break;
        firn_status st = args_given(call, "single")
                             ? firn_batch_single_delete(batch, buf_slice(&key))
                             : firn_batch_delete(batch, buf_slice(&key));
        if (st != FIRN_OK)
            code = cli_engine_error(call, st);
    }
    buf_deinit(&key);
    return code;
}

int verb_delete(cli_call *call) {
    firn_db *db = NULL;
    firn_batch *batch = NULL;
    firn_write_options options = put_write_options(call);
    if (firn_batch_new(&batch) != FIRN_OK)
        return cli_no_memory(call);
    int code = delete_keys(call, batch);
    if (code == CLI_OK)
        code = cli_open(call, CLI_WRITE, &db);
    if (code == CLI_OK) {
        firn_status written = firn_write(db, &options, batch);
        if (written != FIRN_OK)
            code = cli_engine_error(call, written);
    }
    firn_batch_free(batch);
    return cli_close(call, db, code);
}

int verb_delete_range(cli_call *call) {
    buf from = {0}, to = {0};
    firn_db *db = NULL;
    firn_write_options options = put_write_options(call);
    int code = put_typed(call, "key", call->positional[1], &from);
    if (code == CLI_OK)
        code = put_typed(call, "key", call->positional[2], &to);
    if (code == CLI_OK)
        code = cli_open(call, CLI_WRITE, &db);
    if (code == CLI_OK) {
        slice end = to.size ? buf_slice(&to) : slice_of("", 0);
        firn_status removed = firn_delete_range(db, &options, buf_slice(&from), end);
        if (removed != FIRN_OK)
            code = cli_engine_error(call, removed);
    }
    code = cli_close(call, db, code);
    buf_deinit(&from);
    buf_deinit(&to);
    return code;
}
