/* The log's segments: appended to, synced, released and made into new segments at the same time.
 * After each sync the power may go: what was appended before must be on the disk, under a name that
 * is, in a segment that says it has that name. */
#include "explore/explore.h"
#include "platform/memory.h"

#include "format/batch.c"
#include "format/file_name.c"
#include "format/key.c"
#include "format/large_ref.c"
#include "platform/error_detail.c"
#include "platform/vfs.h"
#include "record/record.c"
#include "util/buf.c"
#include "util/coding.c"
#include "util/crc32c.c"
#include "util/event_log.h"
#include "util/memory_budget.c"
#include "wal/wal_segments.c"
#include "wal/wal_sync.c"
#include "wal/wal_writer.c"

/* --- the disk: below the memory model, where the kernel orders everything --- */

enum { DISK_FILES_MAX = 8, DISK_FILE_BYTES = 2 * SEGMENT_HEADER_BYTES, DISK_NAME_AHEAD = 1000 };

typedef struct disk_file {
    firn_file base;
    uint64_t name, durable_name; /* numbers; 0: none */
    const uint8_t *mapped;
    uint8_t now[DISK_FILE_BYTES], durable[DISK_FILE_BYTES];
} disk_file;

static disk_file disk[DISK_FILES_MAX];
static uint32_t disk_count;
static atomic_u64 *disk_turn; /* each operation on the disk is one on this */

/* relaxed, for no partner: the kernel's own order is not to be relied on for memory. */
static void disk_step(void) {
    (void)atomic_u64_add(disk_turn, 1, memory_order_relaxed);
}

static uint64_t disk_name_of(const char *path) {
    uint64_t number = 0;
    EXPLORE_EXPECT(file_name_parse(strrchr(path, '/') + 1, &number) == FILE_LOG);
    return number == WAL_NUMBER_AHEAD ? DISK_NAME_AHEAD : number;
}

static disk_file *disk_find(uint64_t name) {
    for (uint32_t i = 0; i < disk_count; i++) {
        if (disk[i].name == name)
            return &disk[i];
    }
    return NULL;
}

static disk_file *disk_of(const vfs_file *file) {
    return (disk_file *)file->handle;
}

static int disk_truncate(firn_file *file, uint64_t bytes) {
    disk_step();
    disk_file *f = (disk_file *)file;
    memset(f->now + bytes, 0, DISK_FILE_BYTES - bytes);
    return 0;
}
static const firn_file_methods disk_methods = {.size = sizeof disk_methods,
                                               .truncate = disk_truncate};

status vfs_open(const firn_vfs *vfs, const char *path, int flags, vfs_file **out) {
    (void)vfs;
    (void)flags;
    EXPLORE_EXPECT(disk_count < DISK_FILES_MAX);
    disk_step();
    EXPLORE_EXPECT(!disk_find(disk_name_of(path)));
    disk_file *f = &disk[disk_count++];
    *f = (disk_file){.base.methods = &disk_methods, .name = disk_name_of(path)};
    *out = memory_new(sizeof **out);
    **out = (vfs_file){.handle = &f->base};
    return STATUS_OK;
}
status vfs_reserve(vfs_file *file, uint64_t offset, uint64_t bytes) {
    EXPLORE_EXPECT(disk_of(file)->name && offset + bytes <= DISK_FILE_BYTES);
    return STATUS_OK;
}
status vfs_write(vfs_file *file, uint64_t offset, const void *data, size_t count) {
    disk_step();
    memcpy(disk_of(file)->now + offset, data, count);
    return STATUS_OK;
}
status vfs_sync(vfs_file *file) {
    disk_file *f = disk_of(file);
    disk_step();
    memcpy(f->durable, f->now, DISK_FILE_BYTES);
    return STATUS_OK;
}
status vfs_close(vfs_file *file) {
    memory_free(file);
    return STATUS_OK;
}
status vfs_map(vfs_file *file, uint64_t offset, size_t bytes, bool writable, vfs_mapping *out) {
    (void)writable;
    *out = (vfs_mapping){.file = file, .data = memory_new_zeroed(bytes), .bytes = bytes};
    memcpy(out->data, disk_of(file)->now + offset, bytes);
    disk_of(file)->mapped = out->data;
    return STATUS_OK;
}
void vfs_unmap(vfs_mapping *mapping) {
    if (mapping->file)
        memory_free(mapping->data);
    *mapping = (vfs_mapping){0};
}
status vfs_map_check(const vfs_mapping *mapping) {
    EXPLORE_EXPECT(mapping->data != NULL);
    return STATUS_OK;
}
void vfs_stored(vfs_file *file, uint64_t offset, size_t bytes) {
    disk_file *f = disk_of(file);
    disk_step();
    memcpy(f->now + offset, f->mapped + offset, bytes);
}
status vfs_remove(const firn_vfs *vfs, const char *path) {
    (void)vfs;
    disk_step();
    disk_file *f = disk_find(disk_name_of(path));
    if (!f)
        return (status){FIRN_NOT_FOUND, 0, "NOT_FOUND"};
    f->name = 0;
    return STATUS_OK;
}
status vfs_rename_open(const firn_vfs *vfs, vfs_file *file, const char *to) {
    (void)vfs;
    disk_step();
    EXPLORE_EXPECT(disk_of(file)->name != 0 && !disk_find(disk_name_of(to)));
    disk_of(file)->name = disk_name_of(to);
    return STATUS_OK;
}
status vfs_sync_dir(const firn_vfs *vfs, const char *path) {
    (void)vfs;
    (void)path;
    disk_step();
    for (uint32_t i = 0; i < disk_count; i++)
        disk[i].durable_name = disk[i].name;
    return STATUS_OK;
}
static int disk_remove(const firn_vfs *vfs, const char *path) {
    return status_is_ok(vfs_remove(vfs, path)) ? 0 : 2;
}

event event_begin(event_log *log, const char *name) {
    (void)log;
    (void)name;
    return (event){0};
}
void event_u64(event *e, const char *field, uint64_t value) {
    (void)e;
    (void)field;
    (void)value;
}
void event_string(event *e, const char *field, const char *value) {
    (void)e;
    (void)field;
    (void)value;
}
void event_end(event *e) {
    (void)e;
}
void entropy_read(void *out, size_t bytes) {
    memset(out, 7, bytes);
}

/* --- the scenarios --- */

enum { BATCHES = 5, VALUE_BYTES = 40, LARGE_BYTES = 64 };

static wal_writer *log_writer;
static const disk_file *extent_file; /* where a reader of the large value has its file open */
static uint64_t first_bytes;         /* of the first batch in the log */
static uint32_t first_kept;          /* batches before this may be released */

static void fill_value(uint8_t *value, uint32_t batch) {
    memset(value, 'A' + (int)batch, VALUE_BYTES);
}

/* Two batches fill a segment. */
static void append(uint32_t number, bool large) {
    uint8_t value[LARGE_BYTES];
    firn_batch batch;
    slice ops;
    fill_value(value, number);
    memset(value + VALUE_BYTES, 'z', LARGE_BYTES - VALUE_BYTES);
    batch_init(&batch);
    EXPLORE_EXPECT(
        status_is_ok(batch_put(&batch, 0, slice_of((const uint8_t *)"k", 1),
                               slice_of(value, large ? LARGE_BYTES : VALUE_BYTES), true)));
    batch_view view = batch_get_view(&batch);
    EXPLORE_EXPECT(status_is_ok(wal_writer_append(log_writer, number + 1, &view, 1, &ops)));
    batch_deinit(&batch);
}

static bool disk_holds(const uint8_t *content, uint32_t batch) {
    uint8_t value[VALUE_BYTES];
    fill_value(value, batch);
    for (size_t i = SEGMENT_HEADER_BYTES; i + VALUE_BYTES <= DISK_FILE_BYTES; i++) {
        if (memcmp(content + i, value, VALUE_BYTES) == 0)
            return true;
    }
    return false;
}

/* What recovery would find after a power cut now. */
static bool survives(uint32_t batch) {
    for (uint32_t i = 0; i < disk_count; i++) {
        segment_header header;
        const disk_file *f = &disk[i];
        if (f->durable_name && status_is_ok(segment_header_decode(f->durable, &header)) &&
            header.number == f->durable_name && disk_holds(f->durable, batch))
            return true;
    }
    return false;
}

/* That somebody should is known to the scenario. */
static void want_ahead(void *context) {
    (void)context;
}

/* With the first segment full and no second one yet. */
static void setup_first_segment(wal_io io, bool large) {
    static const firn_vfs vfs = {.size = sizeof vfs, .remove = disk_remove};
    disk_count = 0;
    disk_turn = memory_new(sizeof *disk_turn);
    atomic_u64_init(disk_turn, 0);
    explore_name(disk_turn, sizeof *disk_turn, "disk");
    wal_writer_args args = {.vfs = &vfs,
                            .directory = "x",
                            .next_segment = 1,
                            .next_sequence = 1,
                            .segment_bytes_first = DISK_FILE_BYTES,
                            .segment_bytes_max = DISK_FILE_BYTES,
                            .io = io,
                            .spares_max = 2,
                            .want_ahead = io == WAL_IO_MAPPED ? want_ahead : NULL};
    EXPLORE_EXPECT(status_is_ok(wal_writer_new(&args, &log_writer)));
    explore_name(log_writer, sizeof *log_writer, "log");
    explore_name(&log_writer->list_mutex, sizeof(mutex), "list mutex");
    explore_name(&log_writer->sync_mutex, sizeof(mutex), "sync mutex");
    explore_name(&log_writer->end, sizeof(atomic_u64), "end");
    explore_name(&log_writer->synced, sizeof(atomic_u64), "synced");
    append(0, large);
    first_bytes = wal_writer_end(log_writer);
    extent_file = &disk[0];
    append(1, false);
    first_kept = 2;
}
static void setup_io(wal_io io, bool large) {
    setup_first_segment(io, large);
    append(2, false);
    EXPLORE_EXPECT(status_is_ok(wal_writer_sync(log_writer)));
}
static void setup_begun(void) {
    setup_first_segment(WAL_IO_MAPPED, false);
}
static void setup_mapped(void) {
    setup_io(WAL_IO_MAPPED, false);
}
/* One is there, and another was asked for before it was. */
static void setup_ahead(void) {
    setup_begun();
    EXPLORE_EXPECT(wal_writer_prepare(log_writer));
    log_writer->list.ahead_bytes = DISK_FILE_BYTES;
}
static void setup_written(void) {
    setup_io(WAL_IO_PWRITE, false);
}
static void setup_large(void) {
    setup_io(WAL_IO_PWRITE, true);
}

static void setup_releasing_both(void) {
    setup_mapped();
    first_kept = 4;
}

/* The first goes to the segment begun, the second needs a new one. */
static void append_two(void) {
    append(3, false);
    append(4, false);
}
static void append_three(void) {
    append(2, false);
    append_two();
}

/* Log position behind a batch; the first may have an extent. */
static uint64_t batch_end(uint32_t batch) {
    slice key = slice_of((const uint8_t *)"k", 1), value = {key.data, VALUE_BYTES};
    return first_bytes + batch * record_padded_bytes(1 + batch_op_bytes(0, key, value));
}

static void sync_and_check(void) {
    uint64_t end = wal_writer_end(log_writer);
    EXPLORE_EXPECT(status_is_ok(wal_writer_sync(log_writer)));
    EXPLORE_EXPECT(wal_writer_synced(log_writer) >= end);
    for (uint32_t batch = first_kept; batch < BATCHES; batch++)
        EXPLORE_EXPECT(batch_end(batch) > end || survives(batch));
}

static void append_sync(void) {
    append_two();
    sync_and_check();
}

/* As after a flush of the first memtable; again, as retries do. */
static void release_first(void) {
    wal_writer_release(log_writer, 2);
}
static void release_both(void) {
    wal_writer_release(log_writer, 2);
    wal_writer_release(log_writer, 3);
}

static void prepare(void) {
    (void)wal_writer_prepare(log_writer);
}
static void drop_spares(void) {
    (void)wal_writer_drop_spares(log_writer);
}

/* The file was opened while the segment was needed, and stays good. */
static void read_extent(void) {
    disk_step();
    EXPLORE_EXPECT(disk_holds(extent_file->now, 0));
}

static void finish(void) {
    sync_and_check();
    EXPLORE_EXPECT(survives(4));
    wal_writer_free(log_writer);
    memory_free(disk_turn);
    EXPLORE_EXPECT(memory_live_count() == 0);
}

int main(int count, char **arguments) {
    static const explore_scenario scenarios[] = {
        {"mapped", setup_mapped, {append_two, sync_and_check, release_first}, finish, 0, 0},
        {"written", setup_written, {append_two, sync_and_check, release_first}, finish, 0, 0},
        {"sync-sync", setup_begun, {append_three, sync_and_check}, finish, 0, 0},
        {"two-syncs",
         setup_releasing_both,
         {append_sync, sync_and_check, release_both},
         finish,
         0,
         0},
        {"two-releases",
         setup_releasing_both,
         {append_two, release_both, release_first},
         finish,
         0,
         0},
        {"ahead-taken", setup_ahead, {append_three, prepare}, finish, 0, 0},
        {"ahead", setup_begun, {append_three, prepare, sync_and_check}, finish, 0, 0},
        {"ahead-twice", setup_begun, {append_three, prepare, prepare}, finish, 0, 0},
        {"ahead-dropped", setup_begun, {append_three, prepare, drop_spares}, finish, 0, 0},
        {"extents", setup_large, {append_two, read_extent, release_first}, finish, 0, 0},
    };
    return explore_main(count, arguments, scenarios, sizeof scenarios / sizeof *scenarios);
}
