/* Opening and closing, the same way for every verb. */
#include "cli.h"

int cli_open(cli_call *call, cli_access access, firn_db **out) {
    *out = call->session;
    if (call->session)
        return CLI_OK;
    firn_options *options = &call->engine;
    if (access == CLI_READ)
        options->read_only = FIRN_YES;
    if (access == CLI_READ || (access == CLI_WRITE && options->create_if_missing == FIRN_DEFAULT))
        options->create_if_missing = FIRN_NO;
    firn_status code = firn_open(call->positional[0], options, out);
    if (code == FIRN_NOT_FOUND) {
        if (access == CLI_WRITE_OR_CREATE && options->create_if_missing != FIRN_NO)
            cli_message(call, "NOT_FOUND: %s", firn_error_detail());
        else
            cli_message(call, "NOT_FOUND: no database at %s", call->positional[0]);
        return CLI_FAILED;
    }
    return code == FIRN_OK ? CLI_OK : cli_engine_error(call, code);
}

int cli_close(cli_call *call, firn_db *db, int code) {
    if (!db || db == call->session)
        return code;
    firn_status closed = firn_close(db);
    return closed == FIRN_OK ? code : cli_engine_error(call, closed);
}
