#include "compaction/table_output.h"

#include "format/file_name.h"
#include "platform/clock.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void table_output_init(table_output *o, const table_output_args *args) {
    *o = (table_output){.args = *args};
}

/* A file that stays behind is an orphan for the next open. */
static void table_output_remove_file(const table_output *o, const char *path) {
    (void)!status_is_ok(vfs_remove(o->args.vfs, path));
}

static void table_output_drop_open(table_output *o) {
    char path[FILE_PATH_BYTES];
    table_builder_free(o->builder);
    o->builder = NULL;
    if (!o->file)
        return;
    (void)vfs_close(o->file); /* its bytes are of no use */
    o->file = NULL;
    table_output_remove_file(o,
                             file_path_temporary(path, o->args.directory, FILE_TABLE, o->number));
}

FIRN_INTERNAL void table_output_deinit(table_output *o) {
    table_output_drop_open(o);
    for (uint32_t i = 0; i < o->done_count; i++)
        table_meta_unref(o->done[i]);
    memory_free(o->done);
    o->done = NULL;
    o->done_count = 0;
}

FIRN_INTERNAL void table_output_discard(table_output *o) {
    char path[FILE_PATH_BYTES];
    for (uint32_t i = 0; i < o->done_count; i++)
        table_output_remove_file(o, file_path(path, o->args.directory, FILE_TABLE,
                                              o->done[i]->where.number));
    table_output_deinit(o);
}

FIRN_INTERNAL status table_output_open(table_output *o) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    const tree_options *options = o->args.options;
    o->number = version_set_new_file_number(o->args.versions);
    file_path_temporary(path, o->args.directory, FILE_TABLE, o->number);
    TRY(vfs_open(o->args.vfs, path,
                 FIRN_VFS_READ | FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &o->file));
    table_builder_args args = {.file = o->file,
                               .memory = version_set_memory_budget(o->args.versions),
                               .order = o->args.order,
                               .keyspace = o->args.keyspace,
                               .block_bytes = options->block_bytes,
                               .restart_interval = options->restart_interval,
                               .filter_bits_per_key =
                                   tree_options_filter_bits(options, o->args.level),
                               .prefix = options->prefix,
                               .codec = tree_options_codec(options, o->args.level),
                               .codec_level = options->codec_level,
                               .dictionary_bytes = options->dictionary_bytes};
    entropy_read(args.identity, sizeof args.identity);
    TRY(table_builder_new(&args, &o->builder));
out:
    return st;
}

static status table_output_push(table_output *o, const table_summary *summary) {
    table_meta **grown = memory_resize(o->done, (o->done_count + (size_t)1) * sizeof(table_meta *));
    if (!grown)
        return error_status(FIRN_NO_MEMORY, "no memory to list new tables");
    o->done = grown;
    table_meta fields = table_meta_from_summary(summary, o->number, o->args.keyspace);
    fields.newest_ms = o->args.newest_ms;
    fields.written_ms = o->args.written_ms;
    status st = table_meta_new(&fields, &o->done[o->done_count]);
    if (status_is_ok(st))
        o->done_count++;
    return st;
}

FIRN_INTERNAL status table_output_cut(table_output *o) {
    status st = STATUS_OK;
    char temporary[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    table_summary summary;
    if (!o->builder)
        return STATUS_OK;
    TRY(table_builder_finish(o->builder, &summary));
    TRY(vfs_sync(o->file));
    file_path_temporary(temporary, o->args.directory, FILE_TABLE, o->number);
    file_path(path, o->args.directory, FILE_TABLE, o->number);
    /* Renamed only after the sync: a table under its final name is always complete. */
    TRY(vfs_rename(o->args.vfs, temporary, path));
    TRY(table_output_push(o, &summary));
    o->bytes_written += summary.properties.file_bytes;
    table_builder_free(o->builder);
    o->builder = NULL;
    st = vfs_close(o->file);
    o->file = NULL;
out:
    return st;
}

FIRN_INTERNAL status table_output_finish(table_output *o) {
    status st = table_output_cut(o);
    if (status_is_ok(st) && o->done_count > 0)
        st = vfs_sync_dir(o->args.vfs, o->args.directory);
    return st;
}
