#include "wal/wal_chain.h"

#include <stdlib.h>

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

static status wal_chain_no_memory(void) {
    return error_status(FIRN_NO_MEMORY, "no memory to list the log segments");
}

typedef struct wal_chain_listing {
    wal_chain *chain;
    bool out_of_memory;
} wal_chain_listing;

static int wal_chain_add(void *context, const char *name) {
    wal_chain_listing *listing = context;
    wal_chain *chain = listing->chain;
    uint64_t number;
    if (file_name_parse(name, &number) != FILE_LOG)
        return 0;
    if (chain->count == chain->capacity) {
        size_t capacity = chain->capacity ? chain->capacity * 2 : 16;
        wal_chain_segment *grown = memory_resize(chain->segments, capacity * sizeof *grown);
        if (!grown) {
            listing->out_of_memory = true;
            return 1;
        }
        chain->segments = grown;
        chain->capacity = capacity;
    }
    chain->segments[chain->count++] = (wal_chain_segment){.number = number};
    return 0;
}

static int wal_chain_compare(const void *a, const void *b) {
    uint64_t x = ((const wal_chain_segment *)a)->number;
    uint64_t y = ((const wal_chain_segment *)b)->number;
    return (x > y) - (x < y);
}

/* Whether the header's numbers can be reckoned with. */
static bool wal_chain_header_is_sane(const segment_header *h, uint64_t number) {
    bool cut_is_sane = h->predecessor == 0 || (h->predecessor_cut >= SEGMENT_HEADER_BYTES &&
                                               h->predecessor_cut % RECORD_ALIGNMENT == 0);
    return h->kind == SEGMENT_LOG && h->number == number && cut_is_sane &&
           h->position % RECORD_ALIGNMENT == 0 && h->position <= INT64_MAX &&
           h->predecessor < number && h->sequence <= SEQNO_MAX;
}

static status wal_chain_read_header(const wal_recovery_args *args, wal_reader *reader,
                                    wal_chain_segment *segment) {
    char path[FILE_PATH_BYTES];
    bool missing;
    file_path(path, args->directory, FILE_LOG, segment->number);
    status st = wal_reader_open(reader, args->vfs, path, &missing);
    if (missing)
        return error_status(FIRN_ABORTED, "'%s' went away while the log was read", path);
    if (status_is(st, FIRN_NOT_FOUND))
        return STATUS_OK; /* its creation was cut short: as if it were not there */
    if (!status_is_ok(st))
        return st;
    segment->file_bytes = reader->file_bytes;
    segment->header = reader->header;
    segment->is_valid = wal_chain_header_is_sane(&segment->header, segment->number);
    wal_reader_close(reader);
    if (segment->is_valid &&
        memcmp(segment->header.database, args->database, sizeof args->database) != 0)
        return error_corruption_at(path, 0, "log segment belongs to another database");
    return STATUS_OK;
}

FIRN_INTERNAL status wal_chain_load(const wal_recovery_args *args, wal_reader *reader,
                                    wal_chain *out) {
    status st = STATUS_OK;
    wal_chain_listing listing = {out, false};
    memset(out, 0, sizeof *out);
    TRY(vfs_list(args->vfs, args->directory, wal_chain_add, &listing));
    if (listing.out_of_memory) {
        st = wal_chain_no_memory();
        goto out;
    }
    if (out->count > 0)
        qsort(out->segments, out->count, sizeof *out->segments, wal_chain_compare);
    for (size_t i = 0; i < out->count; i++) {
        if (out->segments[i].number >= args->floor_segment)
            TRY(wal_chain_read_header(args, reader, &out->segments[i]));
    }
    return STATUS_OK;
out:
    wal_chain_deinit(out);
    return st;
}

FIRN_INTERNAL void wal_chain_deinit(wal_chain *chain) {
    memory_free(chain->segments);
    *chain = (wal_chain){0};
}

FIRN_INTERNAL wal_chain_segment *wal_chain_find(const wal_chain *chain, uint64_t number) {
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->segments[i].number == number && chain->segments[i].is_valid)
            return &chain->segments[i];
    }
    return NULL;
}

FIRN_INTERNAL wal_chain_segment *wal_chain_successor(const wal_chain *chain, uint64_t number) {
    for (size_t i = chain->count; i > 0 && chain->segments[i - 1].number > number; i--) {
        wal_chain_segment *segment = &chain->segments[i - 1];
        if (segment->is_valid && segment->header.predecessor == number)
            return segment;
    }
    return NULL;
}
