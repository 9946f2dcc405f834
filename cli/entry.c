#include "entry.h"

#include "escape.h"
#include "json.h"

static void entry_build_json(entry_writer *writer, firn_slice key, firn_slice value) {
    buf_append(&writer->line, "{", 1);
    json_append_member(&writer->line, "key", key);
    if (!writer->keys_only) {
        buf_append(&writer->line, ",", 1);
        json_append_member(&writer->line, "value", value);
    }
    if (writer->expires_at_ms > 0)
        buf_printf(&writer->line, ",\"expires_at_ms\":%llu",
                   (unsigned long long)writer->expires_at_ms);
    buf_append(&writer->line, "}", 1);
}

static void entry_build_columns(entry_writer *writer, firn_slice key, firn_slice value) {
    void (*append)(buf *, slice) = writer->format == ENTRY_HEX   ? escape_append_hex
                                   : writer->format == ENTRY_RAW ? buf_append_slice
                                                                 : escape_append;
    append(&writer->line, key);
    if (!writer->keys_only) {
        buf_append(&writer->line, "\t", 1);
        append(&writer->line, value);
    }
    if (writer->expires_at_ms > 0 && writer->format == ENTRY_TEXT)
        buf_printf(&writer->line, "\t%llu", (unsigned long long)writer->expires_at_ms);
}

bool entry_write(entry_writer *writer, firn_slice key, firn_slice value) {
    buf_clear(&writer->line);
    if (writer->format == ENTRY_JSON)
        entry_build_json(writer, key, value);
    else
        entry_build_columns(writer, key, value);
    buf_append(&writer->line, "\n", 1);
    return !writer->line.out_of_memory && output_slice(writer->out, buf_slice(&writer->line));
}
