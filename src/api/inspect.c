#include "firn/inspect.h"
#include "firn/repair.h"

#include "db/inspect.h"
#include "db/repair.h"
#include "platform/error_detail.h"

#include "base/poison.h"

FIRN_API firn_status firn_inspect_file(const firn_options *options, const char *path,
                                       firn_line_callback print, void *context) {
    db_config config;
    if (!path || !print)
        return error_status(FIRN_INVALID_ARGUMENT, "firn_inspect_file: an argument is NULL").code;
    status st = db_config_derive(options, &config);
    if (status_is_ok(st))
        st = inspect_file(&config, path, print, context);
    return st.code;
}

FIRN_API firn_status firn_verify(const char *path, const firn_options *options,
                                 firn_verify_callback report, void *context) {
    db_config config;
    if (!path)
        return error_status(FIRN_INVALID_ARGUMENT, "firn_verify: `path` is NULL").code;
    status st = db_config_derive(options, &config);
    if (status_is_ok(st))
        st = verify_database(&config, path, report, context);
    return st.code;
}

FIRN_API firn_status firn_repair(const char *path, const firn_options *options,
                                 firn_choice plan_only, firn_repair_callback report,
                                 void *context) {
    db_config config;
    if (!path)
        return error_status(FIRN_INVALID_ARGUMENT, "firn_repair: `path` is NULL").code;
    status st = db_config_derive(options, &config);
    if (status_is_ok(st))
        st = repair_database(&config, path, plan_only == FIRN_YES, report, context);
    return st.code;
}
