#include "compaction/range_drop.h"

#include "platform/memory.h"

#include "base/poison.h"

static bool range_drop_is_one_stratum(const drop_rules *strata, seqno a, seqno b) {
    size_t stratum = drop_rules_stratum(strata, a);
    return stratum < strata->reader_count && stratum == drop_rules_stratum(strata, b);
}

static bool range_drop_replaces(void *context, seqno newer, seqno older) {
    return range_drop_is_one_stratum(context, newer, older);
}

FIRN_INTERNAL status range_drop_init(range_drop *r, key_order order, const range_list *list,
                                     const snapshot_list *readers) {
    *r = (range_drop){.order = order};
    drop_rules_init(&r->strata, readers->sequences, NULL, readers->count);
    status st = range_list_status(list);
    if (!status_is_ok(st))
        return st;
    return range_fragments_build(order, list->items, list->count,
                                 &(range_select){SEQNO_MAX, range_drop_replaces, &r->strata},
                                 &r->fragments);
}

FIRN_INTERNAL void range_drop_deinit(range_drop *r) {
    memory_free(r->fragments);
    r->fragments = NULL;
    buf_deinit(&r->rest);
}

FIRN_INTERNAL status range_drop_begin_at(range_drop *r, user_key lower) {
    const range_fragments *f = r->fragments;
    DCHECK(r->at == 0 && !r->is_cut);
    while (f && r->at < f->count &&
           key_order_compare_user(r->order, f->list[r->at].end, lower) <= 0)
        r->at++;
    if (!f || r->at == f->count ||
        key_order_compare_user(r->order, f->list[r->at].begin, lower) >= 0)
        return STATUS_OK;
    r->is_cut = true;
    buf_append_slice(&r->rest, lower.s);
    return buf_status(&r->rest);
}

/* Whether a tombstone of the fragment, of the stratum of `oldest`, is newer than `newest`. */
static bool range_drop_hides(const range_drop *r, const range_fragment *f, seqno oldest,
                             seqno newest) {
    const seqno *sequences = range_fragment_sequences(r->fragments, f);
    for (uint32_t i = 0; i < f->count && sequences[i] > newest; i++) {
        if (range_drop_is_one_stratum(&r->strata, sequences[i], oldest))
            return true;
    }
    return false;
}

FIRN_INTERNAL bool range_drop_covers(range_drop *r, user_key key, seqno sequence) {
    const range_fragments *f = r->fragments;
    if (LIKELY(!f))
        return false;
    while (r->asked < f->count && key_order_compare_user(r->order, f->list[r->asked].end, key) <= 0)
        r->asked++;
    return r->asked < f->count &&
           key_order_compare_user(r->order, f->list[r->asked].begin, key) <= 0 &&
           range_drop_hides(r, &f->list[r->asked], sequence, sequence);
}

FIRN_INTERNAL bool range_drop_covers_table(const range_drop *r, const table_meta *meta) {
    const range_fragments *f = r->fragments;
    user_key smallest = internal_key_user(meta->smallest);
    user_key largest = internal_key_user(meta->largest);
    if (!f)
        return false;
    uint32_t i = range_fragments_find(f, smallest);
    return i < f->count && key_order_compare_user(r->order, f->list[i].begin, smallest) <= 0 &&
           key_order_compare_user(r->order, f->list[i].end, largest) > 0 &&
           range_drop_hides(r, &f->list[i], meta->min_sequence, meta->max_sequence);
}

static status range_drop_write_piece(range_drop *r, table_output *output, const range_fragment *f,
                                     user_key begin, user_key end) {
    status st = STATUS_OK;
    buf key = {0};
    table_builder *builder;
    const seqno *sequences = range_fragment_sequences(r->fragments, f);
    for (uint32_t i = 0; i < f->count; i++) {
        if (drop_rules_stratum(&r->strata, sequences[i]) == 0 &&
            r->is_bottom(r->context, begin, end))
            continue;
        buf_clear(&key);
        internal_key_append(&key, begin, sequences[i], OP_RANGE_DELETE);
        TRY(buf_status(&key));
        TRY(table_output_builder(output, &builder));
        TRY(table_builder_add_range_tombstone(builder, (internal_key){buf_slice(&key)}, end));
    }
out:
    buf_deinit(&key);
    return st;
}

FIRN_INTERNAL status range_drop_write(range_drop *r, table_output *output, slice before) {
    status st = STATUS_OK;
    user_key border = user_key_of(before);
    while (r->fragments && r->at < r->fragments->count) {
        const range_fragment *f = &r->fragments->list[r->at];
        user_key begin = r->is_cut ? user_key_of(buf_slice(&r->rest)) : f->begin;
        bool bounded = slice_is_set(before);
        if (bounded && key_order_compare_user(r->order, begin, border) >= 0)
            break;
        bool is_cut = bounded && key_order_compare_user(r->order, f->end, border) > 0;
        TRY(range_drop_write_piece(r, output, f, begin, is_cut ? border : f->end));
        r->is_cut = is_cut;
        if (!is_cut) {
            r->at++;
            continue;
        }
        buf_clear(&r->rest);
        buf_append_slice(&r->rest, before);
        TRY(buf_status(&r->rest));
        break;
    }
out:
    return st;
}
