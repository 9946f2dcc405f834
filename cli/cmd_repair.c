/* firn repair: makes a damaged database usable again, or says what that would take and cost. */
#include <stdio.h>

#include "args.h"
#include "firn/repair.h"
#include "json.h"
#include "util/text.h"
#include "verbs.h"

typedef struct repair_report {
    cli_call *call;
    bool json;
    uint64_t problems, losses, actions;
} repair_report;

static const char *repair_kind_name(firn_repair_kind kind) {
    switch (kind) {
    case FIRN_REPAIR_PROBLEM:
        return "problem";
    case FIRN_REPAIR_LOSS:
        return "loss";
    case FIRN_REPAIR_ACTION:
        break;
    }
    return "action";
}

static void repair_json_text(buf *out, const char *name, slice text) {
    buf_printf(out, ", \"%s\": \"", name);
    text_append_json(out, text);
    buf_append(out, "\"", 1);
}

static void repair_json_number(buf *out, const char *name, uint64_t value) {
    if (value != FIRN_NONE)
        buf_printf(out, ", \"%s\": %llu", name, (unsigned long long)value);
}

/* One object a line: a repair that dies in the middle has still said what it did. */
static bool repair_print_json(const repair_report *report, const firn_repair_step *step) {
    buf line = {0};
    buf_printf(&line, "{\"kind\": \"%s\"", repair_kind_name(step->kind));
    repair_json_text(&line, "file", slice_from_string(step->file));
    repair_json_text(&line, "text", slice_from_string(step->text));
    repair_json_number(&line, "offset", step->offset);
    repair_json_number(&line, "bytes", step->bytes);
    repair_json_number(&line, "entries", step->entries);
    if (slice_is_set(step->from))
        repair_json_text(&line, "from", step->from);
    if (slice_is_set(step->to))
        repair_json_text(&line, "to", step->to);
    if (step->from_sequence || step->to_sequence) {
        repair_json_number(&line, "from_sequence", step->from_sequence);
        repair_json_number(&line, "to_sequence", step->to_sequence);
    }
    buf_append(&line, "}\n", 3);
    bool good = !line.out_of_memory && output_text(report->call->out, (const char *)line.data);
    buf_deinit(&line);
    return good;
}

static int repair_step(void *context, const firn_repair_step *step) {
    repair_report *report = context;
    report->problems += step->kind == FIRN_REPAIR_PROBLEM;
    report->losses += step->kind == FIRN_REPAIR_LOSS;
    report->actions += step->kind == FIRN_REPAIR_ACTION;
    if (report->json)
        return !repair_print_json(report, step);
    return !output_printf(report->call->out, "%-8s %s\n", repair_kind_name(step->kind), step->text);
}

int verb_repair(cli_call *call) {
    repair_report report = {.call = call, .json = args_given(call, "json")};
    bool plan = args_given(call, "plan");
    firn_status st = firn_repair(call->positional[0], &call->engine, plan ? FIRN_YES : FIRN_NO,
                                 repair_step, &report);
    if (st == FIRN_NOT_FOUND) {
        cli_message(call, "NOT_FOUND: no database at %s", call->positional[0]);
        return CLI_FAILED;
    }
    if (st != FIRN_OK)
        return cli_engine_error(call, st);
    int code = plan && report.problems > 0 ? CLI_DAMAGED : CLI_OK;
    if (report.json || args_given(call, "quiet"))
        return code;
    if (report.problems == 0)
        (void)output_text(call->out, "nothing is wrong, nothing was changed\n");
    else if (plan)
        (void)output_text(call->out, "this is a plan; nothing was changed\n");
    else
        (void)output_printf(call->out, "repaired; %s\n",
                            report.losses ? "what is lost stands above" : "nothing is lost");
    return code;
}
