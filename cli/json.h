/* cli/json.h - JSON as the tool writes and reads it.
 *
 * A record is one flat object on one line (JSON Lines) with a key and a value:
 *   {"key":"text","value":"text"}        each as text where its bytes are valid UTF-8,
 *   {"key_b64":"AAE=","value":"text"}    in base64 (RFC 4648, padded) where they are not.
 * and, where the value expires, "expires_at_ms":1700000000000 (milliseconds since 1970).
 * Reading is strict (RFC 8259): exactly these members, each once. */
#ifndef FIRN_CLI_JSON_H
#define FIRN_CLI_JSON_H

#include "base/slice.h"
#include "record.h"
#include "util/buf.h"

/* Appends `bytes`, valid UTF-8, as a quoted string. */
void json_append_string(buf *out, slice bytes);
/* Appends "name":"..." or "name_b64":"...", whichever the bytes allow. */
void json_append_member(buf *out, const char *name, slice bytes);

/* Reads one record. false: *problem says what is wrong with the line. */
bool json_record_parse(slice line, cli_record *record, const char **problem);

#endif
