/* cli/verbs.h - the functions behind the rows of verbs.c. Each answers an exit status. */
#ifndef FIRN_CLI_VERBS_H
#define FIRN_CLI_VERBS_H

#include "cli.h"

int verb_put(cli_call *call);
int verb_get(cli_call *call);
int verb_explain(cli_call *call);
int verb_delete(cli_call *call);
int verb_delete_range(cli_call *call);
int verb_scan(cli_call *call);
int verb_import(cli_call *call);
int verb_export(cli_call *call);
int verb_stats(cli_call *call);
int verb_sync(cli_call *call);
int verb_flush(cli_call *call);
int verb_compact(cli_call *call);
int verb_pause(cli_call *call);
int verb_resume(cli_call *call);
int verb_wait(cli_call *call);
int verb_verify(cli_call *call);
int verb_repair(cli_call *call);
int verb_inspect(cli_call *call);
int verb_shell(cli_call *call);
int verb_options(cli_call *call);
int verb_version(cli_call *call);
int verb_help(cli_call *call);

/* What `firn help VERB` prints. */
void verb_print_help(output *out, const cli_verb *verb);

#endif
