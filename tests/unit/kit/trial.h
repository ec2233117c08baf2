/* A random walk: the same requests go to a store and to the model, and both have to say and hold the same.
 *
 * Decisions come from a struct source, so a trial is a seed or a fuzzer's bytes. A second store is fed with nothing but
 * the bytes of the first one's ops, as a replica would be, and has to hold the same too. */
#ifndef TQ_TESTS_KIT_TRIAL_H
#define TQ_TESTS_KIT_TRIAL_H

#include "model.h"
#include "replay.h"
#include "source.h"
#include "store.h"

/* How wide the walk is. */
struct trial_shape {
    unsigned partitions;  /* up to MODEL_PARTITIONS */
    unsigned keys;        /* of which samples' keys are drawn */
    unsigned batch;       /* largest TQ.MPUT, in samples */
    unsigned large;       /* longest value, in bytes */
    unsigned check_every; /* steps between full comparisons */
    bool replica;
};

struct trial_pin {
    struct chunk *chunk;
    struct span bytes;
    char *copy;
};

enum { TRIAL_PINS = 16 };

struct trial {
    struct source source;
    struct trial_shape shape;
    struct kit kit;
    struct replay replay; /* of all ops, into a store of its own */
    struct model model;
    struct scratch scratch; /* of the step: requests and what the model says */
    struct trial_pin pins[TRIAL_PINS];
    size_t n_pins;
    unsigned steps;
    unsigned changes;   /* calls of the change hook */
    uint8_t flavour[8]; /* what the fields of this trial like to be */
};

/* `t` is zeroed, or left by trial_end: then its stores are used again. */
void trial_open(struct trial *t, struct source source, const struct trial_shape *shape);
void trial_step(struct trial *t);
void trial_check(struct trial *t);

/* Drops everything and aborts where payload did not come back. */
void trial_end(struct trial *t);

/* Ends it, frees the stores and aborts where memory did not come back. `t` is zeroed. */
void trial_close(struct trial *t);

/* ---- trial_sample.c: steps that sample, and what follows ---- */

void trial_step_sample(struct trial *t);
void trial_step_lease(struct trial *t);
void trial_step_clock(struct trial *t);
void trial_step_define(struct trial *t);
void trial_retire(struct trial *t, struct span partition, const uint64_t *seqs, size_t n);

/* ---- for the files of the trial ---- */

/* One of the errors that are due, or none and none. True when it went through. */
bool trial_agree(struct trial *t, const char *what, unsigned due, int failed);
void trial_expect(struct trial *t, const char *what, size_t got, size_t expected);

/* ---- trial_draw.c: requests out of decisions, in t->scratch ---- */

struct span trial_draw_partition(struct trial *t);
struct span trial_draw_key(struct trial *t);
struct span trial_draw_field(struct trial *t);
struct span trial_draw_tag(struct trial *t);
struct span trial_draw_task(struct trial *t);
struct where trial_draw_where(struct trial *t, uint64_t most);
void trial_draw_put(struct trial *t, struct put *put);
void trial_draw_mput(struct trial *t, struct mput *mput);
void trial_draw_select(struct trial *t, struct select *select);
struct dtype trial_draw_type(struct trial *t, struct span field);
bool trial_rarely(struct trial *t);

/* ---- trial_draw_call.c ---- */

void trial_draw_call(struct trial *t, struct sample_call *call);
void trial_draw_lease(struct trial *t, struct lease_request *request);
int64_t trial_draw_ms(struct trial *t);
void trial_draw_define(struct trial *t, struct define *define);

#endif
