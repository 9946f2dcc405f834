/* firn explain: what a read of one key does. */
#include <stdio.h>

#include "args.h"
#include "util/text.h"
#include "verbs.h"

typedef struct explain_printer {
    output *out;
    bool json;
    uint64_t steps, blocks_read, nanoseconds, versions_skipped, tombstones_skipped;
} explain_printer;

static const char *explain_verdict(firn_explain_verdict verdict) {
    static const char *const names[] = {"",        "absent",  "filtered", "value",
                                        "deleted", "expired", "failed"};
    return (size_t)verdict < sizeof names / sizeof *names ? names[verdict] : "unknown";
}

static void explain_print_json(explain_printer *p, const firn_explain_step *s) {
    static const char *const filters[] = {"none", "no", "maybe"};
    (void)output_printf(p->out, "%s{\"place\":\"%s\",", p->steps > 0 ? "," : "",
                        s->level < 0 ? "memtable" : "table");
    if (s->level < 0)
        (void)output_printf(p->out, "\"newer\":%llu,", (unsigned long long)s->file);
    else
        (void)output_printf(p->out, "\"level\":%d,\"file\":%llu,", s->level,
                            (unsigned long long)s->file);
    (void)output_printf(p->out,
                        "\"bytes\":%llu,\"verdict\":\"%s\",\"filter\":\"%s\","
                        "\"blocks_cached\":%llu,\"blocks_read\":%llu,\"blocks_mapped\":%llu,"
                        "\"block_bytes\":%llu,"
                        "\"sequence\":%llu,\"value_bytes\":%llu,\"ns\":%llu,"
                        "\"newer_skipped\":%llu,\"older_skipped\":%llu,"
                        "\"tombstones_skipped\":%llu}",
                        (unsigned long long)s->bytes, explain_verdict(s->verdict),
                        filters[s->filter + 1], (unsigned long long)s->blocks_cached,
                        (unsigned long long)s->blocks_read, (unsigned long long)s->blocks_mapped,
                        (unsigned long long)s->block_bytes, (unsigned long long)s->sequence,
                        (unsigned long long)s->value_bytes, (unsigned long long)s->nanoseconds,
                        (unsigned long long)s->newer_skipped, (unsigned long long)s->older_skipped,
                        (unsigned long long)s->tombstones_skipped);
}

static void explain_print_text(explain_printer *p, const firn_explain_step *s) {
    char bytes[16], block_bytes[16], place[32];
    if (s->level < 0)
        snprintf(place, sizeof place, "%s", s->file == 0 ? "memtable" : "sealed memtable");
    else
        snprintf(place, sizeof place, "L%d table %06llu", s->level, (unsigned long long)s->file);
    (void)output_printf(p->out, "  %-18s %10s  %-8s %8llu ns", place, text_bytes(s->bytes, bytes),
                        explain_verdict(s->verdict), (unsigned long long)s->nanoseconds);
    if (s->filter >= 0)
        (void)output_printf(p->out, ", filter says %s", s->filter ? "maybe" : "no");
    if (s->blocks_cached + s->blocks_read + s->blocks_mapped > 0)
        (void)output_printf(p->out,
                            ", %llu block%s from the cache, %llu from the file, %llu mapped (%s)",
                            (unsigned long long)s->blocks_cached, s->blocks_cached == 1 ? "" : "s",
                            (unsigned long long)s->blocks_read,
                            (unsigned long long)s->blocks_mapped,
                            text_bytes(s->block_bytes, block_bytes));
    if (s->sequence > 0)
        (void)output_printf(p->out, ", sequence %llu", (unsigned long long)s->sequence);
    if (s->verdict == FIRN_EXPLAIN_VALUE)
        (void)output_printf(p->out, ", %llu bytes", (unsigned long long)s->value_bytes);
    if (s->newer_skipped + s->older_skipped > 0)
        (void)output_printf(p->out,
                            ", skipped %llu newer and %llu older versions (%llu tombstones)",
                            (unsigned long long)s->newer_skipped,
                            (unsigned long long)s->older_skipped,
                            (unsigned long long)s->tombstones_skipped);
    (void)output_text(p->out, "\n");
}

static void explain_step(void *context, const firn_explain_step *step) {
    explain_printer *p = context;
    if (p->json)
        explain_print_json(p, step);
    else
        explain_print_text(p, step);
    p->steps++;
    p->blocks_read += step->blocks_read;
    p->nanoseconds += step->nanoseconds;
    p->versions_skipped += step->newer_skipped + step->older_skipped;
    p->tombstones_skipped += step->tombstones_skipped;
}

static int explain_key(cli_call *call, firn_db *db, const buf *key) {
    explain_printer p = {.out = call->out, .json = args_given(call, "json")};
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    if (args_given(call, "cached-only"))
        options.cached_only = FIRN_YES;
    if (p.json)
        (void)output_text(p.out, "{\"steps\":[");
    firn_status st = firn_explain_get(db, &options, buf_slice(key), explain_step, &p);
    if (p.json)
        (void)output_printf(p.out,
                            "],\"status\":\"%s\",\"ns\":%llu,\"versions_skipped\":%llu,"
                            "\"tombstones_skipped\":%llu}\n",
                            firn_status_name(st), (unsigned long long)p.nanoseconds,
                            (unsigned long long)p.versions_skipped,
                            (unsigned long long)p.tombstones_skipped);
    else
        (void)output_printf(p.out,
                            "%s after %llu place%s, %llu block%s read, %llu version%s skipped "
                            "(%llu tombstone%s), %llu ns\n",
                            firn_status_name(st), (unsigned long long)p.steps,
                            p.steps == 1 ? "" : "s", (unsigned long long)p.blocks_read,
                            p.blocks_read == 1 ? "" : "s", (unsigned long long)p.versions_skipped,
                            p.versions_skipped == 1 ? "" : "s",
                            (unsigned long long)p.tombstones_skipped,
                            p.tombstones_skipped == 1 ? "" : "s",
                            (unsigned long long)p.nanoseconds);
    if (st == FIRN_OK || st == FIRN_WOULD_BLOCK)
        return CLI_OK;
    return st == FIRN_NOT_FOUND ? CLI_NOT_FOUND : cli_engine_error(call, st);
}

int verb_explain(cli_call *call) {
    buf key = {0};
    firn_db *db = NULL;
    int code = args_bytes(call, "key", call->positional[1], &key);
    if (code == CLI_OK)
        code = cli_open(call, CLI_READ, &db);
    if (code == CLI_OK)
        code = explain_key(call, db, &key);
    buf_deinit(&key);
    return cli_close(call, db, code);
}
