/* The store as a beginner would write it.
 *
 * Arrays and linear scans, nothing shared with the code under test but the structs that requests come in. What
 * it does is written down from the design's text alone, so where the two disagree one of them is wrong.
 *
 * The design does not say which error wins where a request has several, so the model names all that are due, as a
 * set of bits; the store has to answer with one of them, and may succeed only when there is none. */
#ifndef TQ_TESTS_KIT_MODEL_H
#define TQ_TESTS_KIT_MODEL_H

#include "store/bounds.h"
#include "store/lease.h"
#include "store/mput.h"
#include "store/put.h"
#include "store/sample.h"
#include "store/select.h"

enum {
    MODEL_COLUMNS = 8,
    MODEL_TASKS = 4,
    MODEL_PARTITIONS = 4,
    MODEL_RETIRE = 3,
    MODEL_INDEXES = 3
};

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
    bool consumed[MODEL_TASKS];
    uint64_t lease[MODEL_TASKS]; /* that holds it for this task; 0: none */
    struct model_cell fields[MODEL_COLUMNS], tags[MODEL_COLUMNS];
};

struct model_column {
    struct span name; /* owned, as all names here */
    struct dtype type;
    bool declared;
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

struct model_lease {
    uint64_t id;
    size_t task;
    int64_t given_ms, ends_ms;
    struct span holder; /* owned */
};

/* A TQ.ACK or TQ.NACK that was answered. */
struct model_reply {
    uint64_t lease;
    size_t task;
    bool is_nack;
    struct span keys; /* of a NACK with KEYS, as one string; owned */
    size_t samples;
};

/* What the last call of a holder took, less what was cleared since. */
struct model_once {
    struct span holder; /* owned */
    uint64_t number;
    size_t task;
    bool took; /* the call with that number took something */
    struct checksum128 request;
    uint64_t lease; /* 0: none */
    int64_t held_until_ms;
    uint64_t *seqs; /* owned */
    size_t n;
};

/* What a rank got, less what was cleared since. It stays when all of it was. */
struct model_batch {
    size_t task;
    uint64_t rank, batch;
    struct span fingerprint; /* owned */
    bool delivered;
    uint64_t *seqs; /* owned */
    size_t n;
};

/* The rank is done with all batches up to this one. */
struct model_done {
    size_t task;
    uint64_t rank, batch;
};

struct model_bounds {
    uint64_t samples, bytes, ahead;               /* 0: none */
    struct span ahead_task, retire[MODEL_RETIRE]; /* owned */
    size_t n_retire;
    struct span indexes[MODEL_INDEXES]; /* owned */
    size_t n_indexes;
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
    struct model_bounds bounds;
    struct model_lease *leases;
    size_t n_leases, leases_capacity;
    struct model_reply *replies;
    size_t n_replies, replies_capacity;
    struct model_once *onces;
    size_t n_onces, onces_capacity;
    struct model_batch *batches;
    size_t n_batches, batches_capacity;
    struct model_done *done;
    size_t n_done, done_capacity;
};

struct model {
    struct model_partition partitions[MODEL_PARTITIONS];
    uint64_t last_lease;
    /* the write that was refused with FULL may succeed when others have made room */
    bool retryable;
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

/* *made: how many samples are new. *skipped: NX, XX or IF; nothing was done. */
unsigned model_put(struct model *m, const struct put *put, struct scratch *scratch, bool *skipped,
                   size_t *made);
unsigned model_mput(struct model *m, const struct mput *mput, struct scratch *scratch,
                    size_t *made);
unsigned model_reset(struct model *m, const struct reset *reset, size_t *changed);
unsigned model_expect(struct model *m, struct span partition, uint64_t samples);
unsigned model_seal(struct model *m, struct span partition);
size_t model_clear(struct model *m, const struct clear *clear);
unsigned model_define(struct model *m, const struct define *define);

/* Clears what RETIRE clears: `retired` seqs, ascending, in scratch. */
uint64_t *model_retire(struct model *m, struct span partition, struct scratch *scratch,
                       size_t *retired);

/* ---- taking: what is right to answer, whether the answer is right, and what follows from it ---- */

struct model_answer {
    enum sample_outcome outcome;
    bool remembered;
    uint64_t lease; /* of a remembered batch */
    size_t n;       /* that the caller gets */
    size_t total;   /* that are consumed or leased, for all ranks */
    size_t found;   /* that the sampler found, also where they are too few for all ranks */
    uint64_t *seqs; /* in scratch: the batch, in order; or, with `of`, what it is chosen from */
    size_t of;      /* 0: nothing is left to chance */
    uint64_t most_missing; /* SAMPLE_WAIT: with fewer samples changed, another try can't succeed */
};

unsigned model_sample_call(struct model *m, const struct sample_call *call, struct scratch *scratch,
                           struct model_answer *answer);

/* Aborts where the store's answer is not one of the right ones. */
void model_check_sampled(struct model *m, const struct sample_call *call,
                         const struct model_answer *answer, const struct sampled *sampled,
                         struct scratch *scratch);

void model_sampled(struct model *m, const struct sample_call *call, const struct sampled *sampled);

/* ---- leases: *changed is how many samples were concerned ---- */

/* The same command was answered before: with so many samples. */
bool model_answered(struct model *m, const struct lease_request *request, bool is_nack,
                    size_t *samples);
unsigned model_ack(struct model *m, const struct lease_request *request, size_t *changed);
unsigned model_nack(struct model *m, const struct lease_request *request, size_t *changed);
unsigned model_extend(struct model *m, const struct lease_request *request, int64_t ends_ms,
                      size_t *changed);

/* When the first one ends, LEASE_NEVER without any. */
int64_t model_next_end(const struct model *m);

/* Its time is over; returns how many samples come back. It is there. */
size_t model_expire(struct model *m, struct span partition, struct span task, uint64_t id);

/* ---- ONCE ---- */

/* The holder's call before arrived, which is new. */
bool model_confirm(struct model *m, const struct sample_call *call);

/* When the first hold ends, LEASE_NEVER without any. */
int64_t model_next_hold(const struct model *m);

/* It is over. */
void model_end_hold(struct model *m, struct span partition, struct span holder);

/* ---- for the files of the model ---- */

void model_drop_once(struct model_partition *p, size_t at);
/* The sample leaves the batches of holders, of this task (n_tasks: of all); `forget`: those that
 * lost their last one took nothing. */
void model_unonce(struct model_partition *p, size_t task, uint64_t seq, bool forget);
bool model_holds(const struct model_partition *p, uint64_t seq);
unsigned model_look_once(const struct model_partition *p, const struct sample_call *call,
                         struct scratch *scratch, struct model_answer *answer);
void model_once_sampled(struct model_partition *p, size_t task, const struct op *op);

struct span model_own(struct span bytes);
void model_let_go(struct span *owned);
size_t model_make_task(struct model_partition *p, struct span name);
void model_clear_sample(struct model_partition *p, size_t at);
void model_end_lease(struct model_partition *p, size_t at);
void model_drop_reply(struct model_partition *p, size_t at);
/* The sample leaves the batches of this task (n_tasks: of all); `forget`: those that lost their
 * last one go. */
void model_unbatch(struct model_partition *p, size_t task, uint64_t seq, bool forget);
void model_drop_batch(struct model_partition *p, size_t at);
struct model_batch *model_batch(const struct model_partition *p, size_t task, uint64_t rank,
                                uint64_t batch);
/* DONE of a TQ.SAMPLE with RANK. True where the store has an op to apply for it. */
bool model_finish(struct model *m, const struct sample_call *call);
bool model_is_done(const struct model_partition *p, size_t task, uint64_t rank, uint64_t batch);
bool model_is_by(const struct sample_call *call, const char *name);
bool model_ready_for(const struct model_partition *p, const struct model_sample *sample,
                     const struct sample_call *call);
bool model_read_number(struct span text, long double *out);
/* Fills answer->seqs, total and of, as far as there are ready samples. `seqs` has room for all. */
void model_pick(struct model_partition *p, const struct sample_call *call,
                struct model_answer *answer);
/* How many samples make a unit of BALANCED. */
size_t model_unit(const struct model_partition *p, const struct sample_call *call);
/* The error due where `made` new samples and values of `comes` bytes, in place of `goes`, have no room. */
unsigned model_check_room(struct model *m, const struct model_partition *p, uint64_t made,
                          uint64_t ahead, uint64_t comes, uint64_t goes);
unsigned model_check_partition(struct span name);
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
