/* A table file with fuzzed bytes. The first byte of the input picks the mode: even, the rest is the
 * whole file; odd, the rest is a list of changes (u16 position, u8 value) to a good table whose
 * blocks and footer then get the checksums their bytes deserve, so that the decoders behind the
 * checksums are reached. Its next bits: the good table's index is partitioned; there is a block
 * cache, so that partitions are read when they are needed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/vfs_mem.h"
#include "table/table_builder.h"
#include "table/table_internal.h"
#include "util/crc32c.h"
#include "util/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLE_FUZZ_PATH "/fuzz.sst"
enum { TABLE_FUZZ_CHANGES = 1, TABLE_FUZZ_PARTITIONED = 2, TABLE_FUZZ_CACHED = 4 };
enum { TABLE_FUZZ_KEYS = 40, TABLE_FUZZ_BLOCKS_MAX = 64 };

static status table_fuzz_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    (void)context;
    (void)index;
    memset(out, 'L', 100);
    *bytes = 100;
    return STATUS_OK;
}

static void table_fuzz_must(status st) {
    if (!status_is_ok(st))
        abort();
}

static void table_fuzz_add(table_builder *b, int i, buf *key) {
    const uint8_t user[] = {'k', 'e', 'y', (uint8_t)('a' + i / 10), (uint8_t)(i / 2)};
    large_ref ref = {.bytes = 100};
    large_source source = {NULL, table_fuzz_chunk};
    op_kind kind = i == 21 ? OP_PUT_LARGE : i % 7 == 3 ? OP_DELETE : OP_PUT;
    buf_clear(key);
    internal_key_append(key, user_key_of(slice_of(user, sizeof user)), (seqno)(100 - i), kind);
    internal_key whole = {buf_slice(key)};
    if (kind == OP_PUT_LARGE)
        table_fuzz_must(table_builder_add_large(b, whole, &ref, &source));
    else
        table_fuzz_must(
            table_builder_add(b, whole, slice_from_string(kind == OP_PUT ? "a value" : "")));
}

static void table_fuzz_build(vfs_mem *disk, uint8_t mode) {
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    buf key = {0};
    table_fuzz_must(
        vfs_open(vfs_mem_vfs(disk), TABLE_FUZZ_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_builder_args args = {.file = file,
                               .block_bytes = 200,
                               .restart_interval = 3,
                               .filter_bits_per_key = 8,
                               .index_partition_bytes = mode & TABLE_FUZZ_PARTITIONED ? 20 : 0,
                               .identity = {1, 2, 3}};
    table_fuzz_must(table_builder_new(&args, &b));
    for (int i = 0; i < TABLE_FUZZ_KEYS; i++)
        table_fuzz_add(b, i, &key);
    table_fuzz_must(table_builder_finish(b, &summary));
    table_builder_free(b);
    table_fuzz_must(vfs_close(file));
    buf_deinit(&key);
}

/* Where the blocks of the good table lie; returns how many. */
static size_t table_fuzz_blocks(const table *t, block_handle *out) {
    size_t count = 0;
    for (uint32_t i = 0; i < t->index.count; i++)
        out[count++] = table_index_handle(&t->index, i);
    for (uint32_t i = 0; i < t->top.count; i++)
        out[count++] = table_index_handle(&t->top, i);
    out[count++] = t->meta.filter;
    out[count++] = t->meta.properties;
    out[count++] = t->footer.index;
    out[count++] = t->footer.meta_index;
    return count;
}

static void table_fuzz_reseal(uint8_t *file, uint64_t bytes, const block_handle *blocks,
                              size_t count) {
    uint8_t *footer = file + bytes - TABLE_FOOTER_BYTES;
    for (size_t i = 0; i < count; i++) {
        uint8_t *trailer = file + blocks[i].offset + blocks[i].bytes;
        block_trailer t = {trailer[0], decode_fixed32(trailer + 1)};
        block_trailer_encode(footer + 32, blocks[i].offset,
                             slice_of(file + blocks[i].offset, blocks[i].bytes), &t, trailer);
    }
    uint32_t crc = crc32c_extend(crc32c_extend(0, footer, 56), footer + 60, 12);
    encode_fixed32(footer + 56, crc);
}

static void table_fuzz_mutate(vfs_mem *disk, uint8_t mode, const uint8_t *data, size_t size) {
    table *t = NULL;
    block_handle blocks[TABLE_FUZZ_BLOCKS_MAX];
    uint64_t bytes = 0;
    table_fuzz_build(disk, mode);
    table_open_args args = {.vfs = vfs_mem_vfs(disk), .path = TABLE_FUZZ_PATH};
    table_fuzz_must(table_open(&args, &t));
    if (t->index.count + t->top.count > TABLE_FUZZ_BLOCKS_MAX - 4)
        abort();
    size_t count = table_fuzz_blocks(t, blocks);
    table_unref(t);
    uint8_t *file = vfs_mem_contents(disk, TABLE_FUZZ_PATH, &bytes);
    for (size_t i = 0; i + 3 <= size; i += 3)
        file[decode_fixed16(data + i) % bytes] = data[i + 2];
    table_fuzz_reseal(file, bytes, blocks, count);
}

static void table_fuzz_write(vfs_mem *disk, const uint8_t *data, size_t size) {
    vfs_file *file = NULL;
    table_fuzz_must(
        vfs_open(vfs_mem_vfs(disk), TABLE_FUZZ_PATH, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    table_fuzz_must(vfs_write(file, 0, data, size));
    table_fuzz_must(vfs_close(file));
}

static int table_fuzz_line(void *context, const char *line) {
    *(size_t *)context += strlen(line);
    return 0;
}

/* Everything there is to read, with an end however the keys lie. */
static void table_fuzz_read(table *t) {
    size_t sum = 0, steps = 0;
    for (int i = 0; i < TABLE_FUZZ_KEYS; i++) {
        uint8_t seek[] = {
            'k', 'e', 'y', (uint8_t)('a' + i / 10), (uint8_t)(i / 2), 0xff, 99, 0, 0, 0, 0, 0, 0};
        lookup found;
        table_get_trace trace;
        internal_key key = {slice_of(seek, sizeof seek)};
        if (!status_is_ok(table_get(t, key, hash64(seek, 5), &(table_read_args){.fill_cache = true},
                                    &trace, &found)))
            continue;
        for (size_t b = 0; b < found.value.size; b++)
            sum += found.value.data[b];
        lookup_release(&found);
        sum += table_approximate_offset(t, key);
    }
    for (int mode = 0; mode < 2; mode++) {
        iter *it = NULL;
        if (!status_is_ok(table_iter_new(t, &(table_read_args){.read_ahead = mode}, &it)))
            return;
        for (iter_seek_first(it); iter_valid(it); iter_next(it), steps++)
            sum += iter_key(it).s.data[0];
        for (iter_seek_last(it); iter_valid(it); iter_prev(it), steps++)
            sum += iter_value(it).size;
        iter_free(it);
    }
    status verified = table_verify(t, NULL, NULL);
    status described = table_describe(t, table_fuzz_line, &sum);
    if (status_is_ok(verified) && !status_is_ok(described))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vfs_mem *disk = NULL;
    table *t = NULL;
    cache *blocks = NULL;
    if (size < 1 || !status_is_ok(vfs_mem_new(&disk)))
        return 0;
    if (data[0] & TABLE_FUZZ_CHANGES)
        table_fuzz_mutate(disk, data[0], data + 1, size - 1);
    else
        table_fuzz_write(disk, data + 1, size - 1);
    if (data[0] & TABLE_FUZZ_CACHED)
        table_fuzz_must(cache_new(4000, 1, &blocks));
    table_open_args args = {.vfs = vfs_mem_vfs(disk), .path = TABLE_FUZZ_PATH, .blocks = blocks};
    if (status_is_ok(table_open(&args, &t)))
        table_fuzz_read(t);
    table_unref(t);
    cache_free(blocks);
    vfs_mem_free(disk);
    return 0;
}
