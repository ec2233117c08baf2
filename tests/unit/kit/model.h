/* The store as a beginner would write it.
 *
 * Arrays and linear scans, nothing shared with the code under test but the structs that requests come in. What
 * it does is written down from the design's text alone, so where the two disagree one of them is wrong.
 *
 * The design does not say which error wins where a request has several, so the model names all that are due, as a
 * set of bits; the store has to answer with one of them, and may succeed only when there is none. */
#ifndef TQ_TESTS_KIT_MODEL_H
#define TQ_TESTS_KIT_MODEL_H

#include "store/mput.h"
#include "store/put.h"
#include "store/select.h"
#include "store/take.h"

enum { MODEL_COLUMNS = 8, MODEL_TASKS = 4, MODEL_PARTITIONS = 4 };

#define MODEL_NO_GROUP SIZE_MAX

/* A set of error codes. */
#define MODEL_ERROR(code) (1u << (code))

struct model_cell {
    bool produced;
    struct dtype item;
    char *bytes; /* owned */
    size_t len;
};

struct model_sample {
    struct span key; /* owned */
    uint64_t seq;
    size_t group; /* index, or MODEL_NO_GROUP */
    bool had[MODEL_TASKS];
    struct model_cell fields[MODEL_COLUMNS], tags[MODEL_COLUMNS];
};

struct model_column {
    struct span name; /* owned, as all names here */
    struct dtype type;
};

struct model_columns {
    size_t n;
    struct model_column all[MODEL_COLUMNS];
};

struct model_group {
    struct span id; /* len 0: forgotten */
    size_t members;
    bool broken;
};

struct model_partition {
    struct span name;              /* len 0: there is none */
    struct model_sample **samples; /* those alive, in order */
    size_t n, capacity;
    struct model_columns fields, tags;
    struct span tasks[MODEL_TASKS];
    size_t n_tasks;
    struct model_group *groups;
    size_t n_groups, groups_capacity;
    uint64_t group_size; /* 0 while there are none */
    uint64_t written, expected;
    bool has_expected, sealed;
};

struct model {
    struct model_partition partitions[MODEL_PARTITIONS];
};

void model_free(struct model *m);

/* ---- looking ---- */

struct model_partition *model_find(struct model *m, struct span name);
struct model_sample *model_sample(struct model_partition *p, struct span key);
struct model_sample *model_by_seq(struct model_partition *p, uint64_t seq);
size_t model_column(const struct model_columns *columns, struct span name); /* or columns->n */
size_t model_task(const struct model_partition *p, struct span name);       /* or n_tasks */
bool model_admits(const struct model_partition *p, const struct model_sample *sample,
                  const struct where *where);
/* `p` and `sample` may be NULL. */
bool model_is_ready(const struct model_partition *p, const struct model_sample *sample,
                    const struct span *fields, size_t n_fields, struct span task,
                    const struct where *where);

/* ---- types ---- */

uint64_t model_item_bytes(const struct dtype *item);
bool model_is_utf8(struct span text);
bool model_bytes_fit(unsigned base, struct span bytes);
bool model_item_of_length(const struct dtype *type, size_t len, struct dtype *item);
bool model_widen(const struct dtype *type, const struct dtype *item, struct dtype *out);
/* A literal of small integers; the bytes come from `scratch`. */
bool model_read_literal(struct span text, const struct dtype *type, struct scratch *scratch,
                        struct span *bytes, struct dtype *item);

/* ---- changing: each returns the errors that are due, and does the thing where there are none ---- */

/* *made: how many samples are new. *held: NX, XX or IF; nothing was done. */
unsigned model_put(struct model *m, const struct put *put, struct scratch *scratch, bool *held,
                   size_t *made);
unsigned model_mput(struct model *m, const struct mput *mput, struct scratch *scratch,
                    size_t *made);
/* The batch's seqs are in `scratch`. */
unsigned model_take(struct model *m, const struct take *take, struct scratch *scratch,
                    enum take_outcome *outcome, uint64_t **seqs, size_t *n);
unsigned model_reset(struct model *m, const struct reset *reset, size_t *changed);
unsigned model_expect(struct model *m, struct span partition, uint64_t samples);
unsigned model_seal(struct model *m, struct span partition);
size_t model_clear(struct model *m, const struct clear *clear);

/* ---- for the files of the model ---- */

struct span model_own(struct span bytes);
unsigned model_check_word(struct span name);
unsigned model_check_key(struct span key);
struct model_partition *model_make_partition(struct model *m, struct span name);
struct model_sample *model_make_sample(struct model_partition *p, struct span key);
void model_join(struct model_partition *p, struct model_sample *sample, struct span id,
                uint64_t size);
size_t model_group(const struct model_partition *p, struct span id); /* or n_groups */
void model_write(struct model_columns *columns, struct model_cell *cells, struct span name,
                 const struct dtype *type, const struct dtype *item, struct span bytes);

#endif
