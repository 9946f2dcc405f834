/* firn verify, firn inspect: the files themselves. */
#include "args.h"
#include "progress.h"
#include "util/text.h"
#include "verbs.h"

typedef struct check_report {
    cli_call *call;
    progress bar;
    bool started;
    uint64_t problems;
    uint64_t bytes;
} check_report;

static int check_progress(void *context, const firn_verify_progress *now) {
    check_report *report = context;
    if (!report->started) {
        progress_start(&report->bar, !args_given(report->call, "quiet"), NULL, now->bytes_total);
        report->started = true;
    }
    report->bytes = now->bytes_done;
    report->bar.total_bytes = now->bytes_total;
    if (!now->problem) {
        progress_update(&report->bar, 0, now->bytes_done);
        return 0;
    }
    report->problems++;
    progress_hide();
    return output_printf(report->call->out, "%s\n", now->problem) ? 0 : 1;
}

int verb_verify(cli_call *call) {
    char bytes[16], count[32];
    check_report report = {.call = call};
    firn_status st = firn_verify(call->positional[0], &call->engine, check_progress, &report);
    progress_end(&report.bar);
    if (report.problems > 0) {
        cli_message(call, "%s: %s problem%s found", firn_status_name(FIRN_CORRUPTION),
                    cli_count(report.problems, count), cli_plural(report.problems));
        return CLI_FAILED;
    }
    if (st == FIRN_NOT_FOUND) {
        cli_message(call, "NOT_FOUND: no database at %s", call->positional[0]);
        return CLI_FAILED;
    }
    if (st != FIRN_OK)
        return cli_engine_error(call, st);
    if (!args_given(call, "quiet"))
        (void)output_printf(call->out, "%s checked, no problems\n",
                            text_bytes(report.bytes, bytes));
    return CLI_OK;
}

static int inspect_line(void *context, const char *line) {
    cli_call *call = context;
    return output_text(call->out, line) && output_text(call->out, "\n") ? 0 : 1;
}

int verb_inspect(cli_call *call) {
    firn_status st = firn_inspect_file(&call->engine, call->positional[0], inspect_line, call);
    if (st == FIRN_NOT_FOUND) {
        cli_message(call, "NOT_FOUND: no file %s", call->positional[0]);
        return CLI_FAILED;
    }
    return st == FIRN_OK ? CLI_OK : cli_engine_error(call, st);
}
