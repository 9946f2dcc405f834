/* tests/unit/compaction/tree_text.h - trees from text and plans to text, so that a test of a choice
 * shows what it is about.
 *
 *   "L0: 9:a-f:100 8:c-k:100  L1: 3:a-c:300! 4:d-m:300d"
 *
 * is four tables: number, key range, kilobytes; ! marks an input of a running job, d one that holds
 * a delete, D one that holds nothing else, h one with versions for readers of then, @5 one written
 * at millisecond 5; x5-9 has values that expire from 5 to 9, x5- also some that never do, r a range
 * tombstone. */
#ifndef FIRN_TESTS_TREE_TEXT_H
#define FIRN_TESTS_TREE_TEXT_H

#include "compaction/picker.h"

version *tree_from_text(const char *text);
/* "L1->L2: 3 + 7 8", with " (move)" or " (drop)" behind it where it is one; "none". Static memory.
 */
const char *plan_to_text(bool found, const compaction_plan *plan);
/* fanout 4, files of 100 kB, level base 400 kB, L0 trigger 4. */
tree_options tree_test_options(void);
#endif
