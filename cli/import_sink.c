#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "args.h"

enum {
    IMPORT_BATCH_RECORDS = 1000,
    IMPORT_BATCH_BYTES = 1 << 20,
    IMPORT_ACK_BYTES = 21 /* 20 digits and a newline */
};

/* One small write at a fixed place: a reader, or a kill, never meets half a number. */
static int import_sink_acknowledge(import_sink *sink) {
    char text[IMPORT_ACK_BYTES + 1];
    if (sink->ack_fd < 0)
        return CLI_OK;
    (void)snprintf(text, sizeof text, "%20llu\n", (unsigned long long)sink->acknowledged);
    ssize_t written = pwrite(sink->ack_fd, text, IMPORT_ACK_BYTES, 0);
    if (written == IMPORT_ACK_BYTES)
        return CLI_OK;
    return cli_os_error(sink->call, args_text(sink->call, "ack"), written < 0 ? errno : ENOSPC);
}

int import_sink_open(import_sink *sink, cli_call *call) {
    const char *ack = args_text(call, "ack");
    *sink = (import_sink){.call = call, .ack_fd = -1};
    if (firn_batch_new(&sink->batch) != FIRN_OK)
        return cli_no_memory(call);
    if (ack) {
        sink->ack_fd = open(ack, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (sink->ack_fd < 0)
            return cli_os_error(call, ack, errno);
    }
    int code = cli_open(call, CLI_WRITE_OR_CREATE, &sink->db);
    return code == CLI_OK ? import_sink_acknowledge(sink) : code;
}

static int import_sink_fail(import_sink *sink, firn_status code) {
    sink->failed = true;
    return cli_engine_error(sink->call, code);
}

static int import_sink_acknowledge_more(import_sink *sink, uint64_t records, uint64_t bytes) {
    sink->acknowledged += records;
    sink->acknowledged_bytes += bytes;
    return import_sink_acknowledge(sink);
}

int import_sink_flush(import_sink *sink) {
    uint64_t records = firn_batch_count(sink->batch);
    if (sink->failed)
        return CLI_FAILED;
    if (records == 0)
        return CLI_OK;
    firn_status code = firn_write(sink->db, NULL, sink->batch);
    if (code != FIRN_OK)
        return import_sink_fail(sink, code);
    firn_batch_clear(sink->batch);
    uint64_t bytes = sink->batch_value_bytes;
    sink->batch_value_bytes = 0;
    return import_sink_acknowledge_more(sink, records, bytes);
}

/* A large value is not copied into the batch: it is written by itself, after what came before. */
static int import_sink_put_large(import_sink *sink, firn_slice key, firn_slice value,
                                 uint64_t expires_at_ms) {
    firn_write_options options = FIRN_WRITE_OPTIONS_INIT;
    options.expires_at_ms = expires_at_ms;
    int code = import_sink_flush(sink);
    if (code != CLI_OK)
        return code;
    firn_status put = firn_put(sink->db, &options, key, value);
    if (put != FIRN_OK)
        return import_sink_fail(sink, put);
    return import_sink_acknowledge_more(sink, 1, key.size + value.size);
}

int import_sink_put(import_sink *sink, firn_slice key, firn_slice value, uint64_t expires_at_ms) {
    if (value.size >= IMPORT_BATCH_BYTES)
        return import_sink_put_large(sink, key, value, expires_at_ms);
    firn_status code = firn_batch_put_expiring(sink->batch, key, value, expires_at_ms);
    if (code != FIRN_OK)
        return cli_engine_error(sink->call, code);
    sink->batch_value_bytes += key.size + value.size;
    if (firn_batch_count(sink->batch) >= IMPORT_BATCH_RECORDS ||
        sink->batch_value_bytes >= IMPORT_BATCH_BYTES)
        return import_sink_flush(sink);
    return CLI_OK;
}

int import_sink_close(import_sink *sink, int code) {
    progress_end(&sink->bar);
    firn_batch_free(sink->batch);
    sink->batch = NULL;
    code = cli_close(sink->call, sink->db, code);
    sink->db = NULL;
    if (sink->ack_fd >= 0 && close(sink->ack_fd) != 0 && code == CLI_OK)
        code = cli_os_error(sink->call, args_text(sink->call, "ack"), errno);
    return code;
}
