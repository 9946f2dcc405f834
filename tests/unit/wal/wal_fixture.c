#include "wal_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"
#include "wal/wal_large.h"

static const uint8_t database_id[16] = "firn-test-db-id";

vfs_mem *log_disk_new(void) {
    vfs_mem *disk = NULL;
    ASSERT_OK(vfs_mem_new(&disk));
    ASSERT_OK(vfs_make_dir(vfs_mem_vfs(disk), WAL_DIRECTORY));
    ASSERT_OK(vfs_sync_dir(vfs_mem_vfs(disk), "/"));
    return disk;
}

char *log_path(uint64_t number, char out[64]) {
    snprintf(out, 64, WAL_DIRECTORY "/%06llu.wal", (unsigned long long)number);
    return out;
}

wal_io log_fixture_io;

wal_writer_args log_writer_args(const firn_vfs *vfs) {
    wal_writer_args args = {.vfs = vfs,
                            .directory = WAL_DIRECTORY,
                            .next_segment = 1,
                            .next_sequence = 1,
                            .io = log_fixture_io,
                            .segment_bytes_first = 8192,
                            .segment_bytes_max = 32768};
    memcpy(args.database, database_id, sizeof database_id);
    return args;
}

wal_writer *log_writer_new(const wal_writer_args *args) {
    wal_writer *w = NULL;
    ASSERT_OK(wal_writer_new(args, &w));
    return w;
}

wal_writer *log_writer_after(const firn_vfs *vfs, const wal_recovery *r) {
    wal_writer_args args = log_writer_args(vfs);
    args.next_segment = r->next_segment;
    args.predecessor = r->end_segment;
    args.predecessor_cut = r->end_offset;
    args.position = r->end_position;
    args.next_sequence = r->last_sequence + 1;
    args.older = r->segments;
    args.older_count = r->segment_count;
    return log_writer_new(&args);
}

static uint64_t mix(uint64_t digest, const void *data, size_t bytes) {
    uint64_t parts[2] = {digest, hash64(bytes ? data : "", bytes)};
    return hash64(parts, sizeof parts);
}

static uint64_t mix_op(uint64_t digest, const batch_op *op, slice value) {
    uint8_t kind = (uint8_t)op->kind;
    digest = mix(digest, &kind, 1);
    digest = mix(digest, &op->keyspace, sizeof op->keyspace);
    digest = mix(digest, op->key.s.data, op->key.s.size);
    return mix(digest, value.data, value.size);
}

log_entry log_entry_of(const firn_batch *b, seqno first_sequence) {
    log_entry entry = {.first_sequence = first_sequence, .count = b->count};
    batch_view view = batch_get_view(b);
    slice ops = view.ops;
    uint32_t large = 0;
    batch_op op;
    while (ops.size > 0) {
        assert_true(batch_op_decode(&ops, &op));
        slice value = op.kind == OP_PUT_LARGE ? view.large[large++].value : op.value;
        entry.digest = mix_op(entry.digest, &op, value);
    }
    return entry;
}

static status note_batch(void *context, seqno first_sequence, uint32_t count, slice ops,
                         uint64_t record_position) {
    log_entries *entries = context;
    log_entry entry = {first_sequence, count, 0, record_position};
    batch_op op;
    assert_true(entries->count < WAL_BATCHES_MAX);
    while (ops.size > 0) {
        assert_true(batch_op_decode(&ops, &op));
        if (op.kind != OP_PUT_LARGE) {
            entry.digest = mix_op(entry.digest, &op, op.value);
            continue;
        }
        large_ref ref;
        slice value;
        void *pin;
        void (*unpin)(void *);
        assert_true(large_ref_decode(op.value, &ref));
        ASSERT_OK(wal_large_map(entries->vfs, entries->directory, &ref, &value, &pin, &unpin));
        entry.digest = mix_op(entry.digest, &op, value);
        unpin(pin);
    }
    entries->at[entries->count++] = entry;
    return entries->answer;
}

wal_recovery_args log_recovery_args(const firn_vfs *vfs, log_entries *into) {
    wal_recovery_args args = {.vfs = vfs,
                              .directory = WAL_DIRECTORY,
                              .floor_segment = 1,
                              .on_batch = note_batch,
                              .context = into};
    memcpy(args.database, database_id, sizeof database_id);
    into->count = 0;
    into->vfs = vfs;
    into->directory = WAL_DIRECTORY;
    into->answer = STATUS_OK;
    return args;
}

void log_recover(const firn_vfs *vfs, log_entries *into, wal_recovery *out) {
    wal_recovery_args args = log_recovery_args(vfs, into);
    ASSERT_OK(wal_recover(&args, out));
}

static void put(firn_batch *b, slice key, slice value) {
    ASSERT_OK(batch_put(b, 0, key, value, true));
}

void log_batch_fill(firn_batch *b, rng *r, uint32_t operations, size_t value_max) {
    batch_clear(b);
    uint8_t *value = malloc(value_max + 1);
    assert_non_null(value);
    for (uint32_t i = 0; i < operations; i++) {
        char key[32];
        size_t bytes = (size_t)rng_below(r, value_max + 1);
        int key_bytes = snprintf(key, sizeof key, "k%llx",
                                 (unsigned long long)rng_below(r, 1 + rng_next(r) % 1000000));
        memset(value, (int)rng_below(r, 256), bytes);
        for (size_t at = 0; at < bytes; at += 7)
            value[at] = (uint8_t)rng_next(r);
        if (rng_below(r, 8) == 0)
            ASSERT_OK(batch_delete(b, 0, slice_of(key, (size_t)key_bytes)));
        else
            put(b, slice_of(key, (size_t)key_bytes), slice_of(value, bytes));
    }
    free(value);
}

void log_batch_put(firn_batch *b, const char *key, size_t value_bytes, uint8_t fill) {
    uint8_t *value = malloc(value_bytes + 1);
    assert_non_null(value);
    memset(value, fill, value_bytes);
    batch_clear(b);
    put(b, slice_from_string(key), slice_of(value, value_bytes));
    free(value);
}

seqno log_next_sequence(const log_entries *model) {
    if (model->count == 0)
        return 1;
    return model->at[model->count - 1].first_sequence + model->at[model->count - 1].count;
}

status log_append(wal_writer *w, const firn_batch *b, log_entries *model) {
    batch_view view = batch_get_view(b);
    seqno first = log_next_sequence(model);
    slice ops;
    uint64_t position = wal_writer_end(w);
    status st = wal_writer_append(w, first, &view, 1, &ops);
    if (status_is_ok(st)) {
        assert_true(model->count < WAL_BATCHES_MAX);
        assert_int_equal(ops.size, view.ops.size);
        model->at[model->count] = log_entry_of(b, first);
        model->at[model->count++].position = position;
    } else {
        assert_int_equal(wal_writer_end(w), position);
    }
    return st;
}

void log_assert_prefix(const log_entries *found, const log_entries *model) {
    assert_true(found->count <= model->count);
    for (size_t i = 0; i < found->count; i++) {
        assert_int_equal(found->at[i].first_sequence, model->at[i].first_sequence);
        assert_int_equal(found->at[i].count, model->at[i].count);
        assert_int_equal(found->at[i].digest, model->at[i].digest);
        assert_int_equal(found->at[i].position, model->at[i].position);
    }
}

void log_assert_equal(const log_entries *found, const log_entries *model) {
    log_assert_prefix(found, model);
    assert_int_equal(found->count, model->count);
}

log_entries *log_entries_new(void) {
    log_entries *entries = calloc(1, sizeof *entries);
    assert_non_null(entries);
    return entries;
}
