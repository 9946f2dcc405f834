/* A sequence of operations on a small database on a simulated disk, against a model: two bytes
 * each, what to do and with which key. After a crash the database must hold what there was after
 * one of the writes from the last durable one on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "platform/thread.h"
#include "platform/vfs_mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPERATIONS_DIRECTORY "/db"
enum { OPERATIONS_KEYS = 32, OPERATIONS_MAX = 600, OPERATIONS_VALUE_BYTES = 700 };

/* The number of each key's value; 0: none. */
typedef struct operations_state {
    uint16_t values[OPERATIONS_KEYS];
} operations_state;

typedef struct operations_run {
    vfs_mem *disk;
    db_config config;
    firn_db *db;
    firn_batch batch;
    bool in_batch;
    operations_state next;                       /* with the batch that is being put together */
    operations_state states[OPERATIONS_MAX + 1]; /* after each write */
    size_t count, durable;
    uint16_t last_value;
} operations_run;

static uint64_t operations_now_ns;

static uint64_t operations_ns(void *context) {
    (void)context;
    return operations_now_ns += 100000;
}

static uint64_t operations_ms(void *context) {
    (void)context;
    return 1700000000000 + operations_now_ns / 1000000;
}

static void operations_do_not_wait(void *context) {
    (void)context;
    operations_now_ns += 1000000;
}

static void operations_ignore_event(void *context, const char *json, size_t size) {
    (void)context;
    (void)json;
    (void)size;
}

static void operations_must(status st) {
    CHECK(status_is_ok(st));
}

static void operations_configure(operations_run *r) {
    static const time_source clock = {NULL, operations_ns, operations_ms};
    firn_options options = FIRN_OPTIONS_INIT;
    options.vfs = vfs_mem_vfs(r->disk);
    options.memory_bytes = 8u << 20;
    options.durability = FIRN_SYNC_MANUAL;
    options.memtable_bytes = 64u << 10;
    options.l0_compaction_trigger = 2;
    options.level_fanout = 4;
    options.on_event = operations_ignore_event;
    operations_must(db_config_derive(&options, &r->config));
    r->config.threads = 0;
    r->config.clock = &clock;
    r->config.log_segment_first = r->config.log_segment_max = 8u << 10;
    r->config.tree.file_bytes = 4u << 10;
    r->config.tree.level_base_bytes = 8u << 10;
}

/* Some are the beginnings of others; the last byte is the number. */
static slice operations_name(uint8_t key, uint8_t out[10]) {
    size_t size = key % OPERATIONS_KEYS / 4 % 4;
    memset(out, 'k', size);
    out[size] = (uint8_t)(key % OPERATIONS_KEYS);
    return slice_of(out, size + 1);
}

static slice operations_value(uint16_t number, uint8_t *out) {
    size_t bytes = 2 + number * 37u % OPERATIONS_VALUE_BYTES;
    memset(out, number & 0xff, bytes);
    memcpy(out, &number, sizeof number);
    return slice_of(out, bytes);
}

static uint16_t operations_get(const operations_run *r, uint8_t key) {
    uint8_t name[10], bytes[OPERATIONS_VALUE_BYTES + 2];
    firn_value value;
    uint16_t number = 0;
    status st = db_get(r->db, 0, NULL, operations_name(key, name), &value);
    if (status_is_ok(st)) {
        CHECK(value.size >= sizeof number);
        memcpy(&number, value.data, sizeof number);
        CHECK(slice_equal(operations_value(number, bytes), slice_of(value.data, value.size)));
    } else {
        CHECK(status_is(st, FIRN_NOT_FOUND));
    }
    db_value_release(&value);
    return number;
}

/* By gets and by a scan, which must agree. */
static void operations_read(const operations_run *r, operations_state *out) {
    firn_iter *it;
    size_t found = 0, there = 0;
    for (uint8_t key = 0; key < OPERATIONS_KEYS; key++) {
        out->values[key] = operations_get(r, key);
        there += out->values[key] != 0;
    }
    operations_must(db_iter_new(r->db, 0, NULL, &it));
    for (db_iter_seek_first(it); db_iter_valid(it); db_iter_next(it)) {
        slice name = db_iter_key(it);
        uint8_t key = name.data[name.size - 1];
        uint8_t bytes[OPERATIONS_VALUE_BYTES + 2];
        CHECK(key < OPERATIONS_KEYS);
        CHECK(slice_equal(db_iter_value(it), operations_value(out->values[key], bytes)));
        found++;
    }
    operations_must(db_iter_status(it));
    db_iter_free(it);
    CHECK(found == there);
}

static void operations_commit(operations_run *r, bool sync) {
    batch_view view = batch_get_view(&r->batch);
    operations_must(db_write(r->db, &view, sync ? FIRN_YES : FIRN_NO));
    batch_clear(&r->batch);
    r->in_batch = false;
    r->states[++r->count] = r->next;
    if (sync)
        r->durable = r->count;
}

static void operations_change(operations_run *r, uint8_t key, bool put) {
    uint8_t name[10], bytes[OPERATIONS_VALUE_BYTES + 2];
    slice text = operations_name(key, name);
    uint16_t number = put ? ++r->last_value : 0;
    operations_must(put ? batch_put(&r->batch, 0, text, operations_value(number, bytes), true)
                        : batch_delete(&r->batch, 0, text));
    r->next.values[key % OPERATIONS_KEYS] = number;
    if (!r->in_batch)
        operations_commit(r, false);
}

/* The database was opened anew: which state is it? */
static void operations_settle(operations_run *r, size_t least) {
    operations_state found;
    operations_read(r, &found);
    while (memcmp(&found, &r->states[r->count], sizeof found) != 0) {
        CHECK(r->count > least); /* acknowledged writes lost, or something invented */
        r->count--;
    }
    r->durable = r->count;
    r->next = r->states[r->count];
    batch_clear(&r->batch);
    r->in_batch = false;
}

static void operations_reopen(operations_run *r) {
    operations_must(db_close(r->db));
    operations_must(db_open(OPERATIONS_DIRECTORY, &r->config, &r->db));
    operations_settle(r, r->count);
}

static void operations_crash(operations_run *r, uint8_t how) {
    vfs_mem *clone;
    vfs_mem_crash mode = (vfs_mem_crash)(how % VFS_MEM_CRASH_COUNT);
    operations_must(vfs_mem_crash_clone(r->disk, mode, how, &clone));
    operations_must(db_close(r->db));
    vfs_mem_free(r->disk);
    r->disk = clone;
    r->config.vfs = vfs_mem_vfs(clone);
    operations_must(db_open(OPERATIONS_DIRECTORY, &r->config, &r->db));
    operations_settle(r, mode == VFS_MEM_KILL ? r->count : r->durable);
}

static void operations_durable(operations_run *r, status st) {
    operations_must(st);
    r->durable = r->count;
}

static void operations_do(operations_run *r, uint8_t what, uint8_t key) {
    operations_state found;
    switch (what % 16) {
    case 0:
        r->in_batch = true;
        break;
    case 1:
        operations_commit(r, key % 2);
        break;
    case 2:
        operations_durable(r, db_sync(r->db));
        break;
    case 3:
        operations_durable(r, db_flush(r->db));
        break;
    case 4:
        operations_durable(r, db_compact_range(r->db, SLICE_UNSET, SLICE_UNSET));
        break;
    case 5:
        (void)db_step(r->db);
        break;
    case 6:
        operations_reopen(r);
        break;
    case 7:
        operations_crash(r, key);
        break;
    case 8:
        operations_read(r, &found);
        CHECK(memcmp(&found, &r->states[r->count], sizeof found) == 0);
        break;
    case 9:
    case 10:
        operations_change(r, key, false);
        break;
    case 11:
        CHECK(operations_get(r, key) == r->states[r->count].values[key % OPERATIONS_KEYS]);
        break;
    default:
        operations_change(r, key, true);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    operations_run *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    thread_set_wait_hook(operations_do_not_wait, NULL);
    operations_must(vfs_mem_new(&r->disk));
    operations_configure(r);
    batch_init(&r->batch);
    operations_must(db_open(OPERATIONS_DIRECTORY, &r->config, &r->db));
    for (size_t i = 0; i + 1 < size && i / 2 < OPERATIONS_MAX; i += 2)
        operations_do(r, data[i], data[i + 1]);
    operations_reopen(r);
    operations_must(db_close(r->db));
    batch_deinit(&r->batch);
    vfs_mem_free(r->disk);
    free(r);
    return 0;
}
