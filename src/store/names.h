/* What things may be called, and how long. DESIGN's limits, checked in one place; the server's own names begin with '@'. */
#ifndef TQ_STORE_NAMES_H
#define TQ_STORE_NAMES_H

#include "base/error.h"
#include "base/scratch.h"

enum {
    NAMES_PARTITION_MAX = 255, /* bytes, any */
    NAMES_KEY_MAX = 1024,      /* keys and group ids: bytes, any */
    NAMES_WORD_MAX = 255,      /* fields, tags, tasks: [A-Za-z0-9_./-][A-Za-z0-9_.@/-]* */
    NAMES_TAG_VALUE_MAX = 4096,
};

/* Each returns 0, or ERROR_ERR with the culprit; `what` is "field", "tag" or "task", "key" or "group". */
int names_check_partition(struct span name, struct error *e);
int names_check_key(const char *what, struct span key, struct error *e);
int names_check_word(const char *what, struct span name, struct error *e);
int names_check_tag_value(struct span tag, struct span value, struct error *e);

/* No name may come twice. `clause`: what the message begins with, such as "RETIRE: ", or "". Time:
 * O(n log n). */
int names_check_distinct(const char *clause, const char *what, const struct span *names, size_t n,
                         struct scratch *scratch, struct error *e);

#endif
