/* batch.c - several writes that happen together or not at all.
 *
 * Shows: a transfer between two accounts. Whatever happens to the process or the machine, nobody
 * ever finds the money gone from one and not arrived in the other. Makes "example-batch". */
#include <firn/firn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(firn_status code, const char *what) {
    if (code == FIRN_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, firn_status_name(code), firn_error_detail());
    exit(1);
}

static long read_balance(firn_db *db, const char *account) {
    char text[32] = "0";
    firn_value value;
    firn_status code = firn_get(db, NULL, firn_slice_str(account), &value);
    if (code != FIRN_NOT_FOUND)
        must(code, "get");
    if (code == FIRN_OK && value.size < sizeof text) {
        memcpy(text, value.data, value.size);
        text[value.size] = '\0';
    }
    firn_value_release(&value);
    return strtol(text, NULL, 10);
}

static void batch_set_balance(firn_batch *batch, const char *account, long balance) {
    char text[32];
    snprintf(text, sizeof text, "%ld", balance);
    /* The batch copies both, so `text` may go. */
    must(firn_batch_put(batch, firn_slice_str(account), firn_slice_str(text)), "batch put");
}

static void transfer(firn_db *db, const char *from, const char *to, long amount) {
    firn_batch *batch;
    must(firn_batch_new(&batch), "batch");
    batch_set_balance(batch, from, read_balance(db, from) - amount);
    batch_set_balance(batch, to, read_balance(db, to) + amount);
    must(firn_batch_delete(batch, FIRN_STR("transfer/pending")), "batch delete");

    firn_write_options durable = FIRN_WRITE_OPTIONS_INIT;
    durable.sync = FIRN_YES; /* this one must survive a power cut before we say it is done */
    must(firn_write(db, &durable, batch), "write");
    printf("%u operations, %llu bytes in the log, one commit\n", firn_batch_count(batch),
           (unsigned long long)firn_batch_bytes(batch));
    firn_batch_free(batch);
}

int main(void) {
    firn_db *db;
    must(firn_open("example-batch", NULL, &db), "open");
    must(firn_put(db, NULL, FIRN_STR("account/anna"), FIRN_STR("100")), "put");
    must(firn_put(db, NULL, FIRN_STR("account/ben"), FIRN_STR("20")), "put");
    must(firn_put(db, NULL, FIRN_STR("transfer/pending"), FIRN_STR("30")), "put");

    transfer(db, "account/anna", "account/ben", 30);
    printf("anna has %ld, ben has %ld\n", read_balance(db, "account/anna"),
           read_balance(db, "account/ben"));

    must(firn_close(db), "close");
    return 0;
}
