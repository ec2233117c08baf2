/* Writing a store down, section by section (section.h), through a callback: no file in here.
 *
 * What is written is the store as it is now; it must not change meanwhile. Payload is passed by
 * reference to chunk memory. */
#ifndef TQ_STORE_DUMP_H
#define TQ_STORE_DUMP_H

#include "base/error.h"
#include "base/span.h"
#include "store/section.h"
#include "store/store.h"

struct dump_section {
    enum section_kind kind;
    struct span head;
    size_t n_runs;
    const struct span *runs; /* the payload is all of them, none empty */
    uint64_t payload_len;    /* their sum */
};

/* Everything is borrowed until it returns. Not 0: the dump ends with that. */
typedef int dump_sink(void *context, const struct dump_section *section, struct error *e);

/* The STORE section. `now_ms` is the clock that leases are measured by. */
int dump_begin(const struct store *s, int64_t now_ms, dump_sink *sink, void *context,
               struct error *e);

/* All sections of one partition. */
int dump_partition(const struct partition *p, dump_sink *sink, void *context, struct error *e);

#endif
