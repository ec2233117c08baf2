/* What TQ.SAMPLE does.
 *
 * One function tries a call, when the request arrives and every time it is woken. What it finds
 * becomes an OP_SAMPLE. The request with its form of reply is a struct sample
 * (request/sample.h). */
#ifndef TQ_STORE_SAMPLE_H
#define TQ_STORE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "store/sampler.h"
#include "store/store.h"

/* A call that is tried again because the walk of an index was cut. Zeroed: it was not.
 *
 * A walk goes on by what its view remembers (tagindex.h), and an index keeps few views: where more
 * calls walk in turns, each would lose its view before its next turn, and none would end. So a call
 * whose view is lost, or that is cut more often than a walk of all samples twice, is tried without
 * the index, by the match set of its WHERE, which the caller holds (matches.h). So is a call that
 * needs samples which the index can't draw, where its match set is not filled. */
struct sample_walk {
    uint64_t view;    /* number of the view of the last try */
    uint64_t cuts;    /* tries that were cut */
    bool is_given_up; /* tries use no index from now on */
};

/* As asked for; everything borrowed. */
struct sample_call {
    struct span partition, task;
    uint64_t count;    /* at least 1; of one rank, where the sampler splits */
    uint64_t at_least; /* 1 to count; count where not given */
    size_t n_fields;
    const struct span *fields;
    struct where where;
    const struct sampler *sampler;
    struct sampler_args args;
    bool keep;   /* do not consume */
    bool ranked; /* RANK and BATCH: the same call gets the same samples again */
    uint64_t rank, batch;
    bool finishes; /* with them: the rank is done with all batches up to `done` */
    uint64_t done;
    /* with them: COUNT, sampler and WHERE as bytes: the same call has the same */
    struct span fingerprint;
    /* ONCE: holder (ptr NULL: not given), number, and of the other arguments */
    struct op_once once;
    int64_t lease_ms;        /* lease for so long instead of consuming; 0: no lease */
    struct span holder;      /* of the lease, for people */
    uint64_t evaluations;    /* of WHERE at the most; 0: no limit */
    struct sample_walk walk; /* as the try before left it in sampled.walk */
};

enum sample_outcome {
    SAMPLE_BATCH, /* `seqs` are to be delivered */
    SAMPLE_WAIT,  /* not enough yet */
    SAMPLE_SCAN,  /* the limit of evaluations was reached: see ready_is_cut() */
    SAMPLE_WALK,  /* it was reached in the walk of an index: try again, with sampled.walk */
    SAMPLE_END,   /* the end of the stream: nothing is left and nothing will come */
};

struct sampled {
    enum sample_outcome outcome;
    const struct partition *partition; /* NULL where it does not exist */
    size_t n;
    const uint64_t *seqs; /* in scratch */
    bool remembered;      /* decided by an earlier call: fields may not all be produced */
    /* SAMPLE_WAIT: samples that must change (or match, if `filters` is set) before a retry can
     * succeed. At least 1; void once the partition is_ended */
    uint64_t missing;
    /* SAMPLE_WAIT: a retry costs a scan: call sample_matches for each op first */
    bool filters;
    struct sample_walk walk; /* SAMPLE_SCAN, SAMPLE_WALK: for the next try; else zeroed */
    uint64_t lease;          /* of the batch; 0: none */
    bool changes;            /* `op` is to be applied */
    struct op op;
    size_t n_finished;        /* samples that RETIRE has to look at after that */
    const uint64_t *finished; /* in scratch, not NULL with `changes` */
};

/* What DONE says is new: *op is to be applied, and `n` samples are held no longer (*seqs, in
 * scratch). */
bool sample_plan_done(const struct store *s, const struct sample_call *call, int64_t now_ms,
                      struct scratch *scratch, struct op *op, uint64_t **seqs, size_t *n);

/* Does the next try walk an index of the sampler's tag? Then no match set is used. */
bool sample_walks(const struct store *s, const struct sample_call *call);

/* What is wrong with the call, whatever is ready: cheap beside sample_plan. For calls with ONCE. */
int sample_check_once(const struct store *s, const struct sample_call *call,
                      struct scratch *scratch, struct error *e);

/* A call with ONCE says that the one before arrived, which is new: *op is to be applied, and `n`
 * samples are held no longer (*seqs, in scratch). */
bool sample_plan_confirm(const struct store *s, const struct sample_call *call, int64_t now_ms,
                         struct scratch *scratch, struct op *op, const uint64_t **seqs, size_t *n);

/* COUNT beyond what any partition can hold is refused with ERR, like what the sampler refuses. */
int sample_plan(const struct store *s, const struct sample_call *call, int64_t now_ms,
                struct scratch *scratch, struct sampled *out, struct error *e);

/* How many more samples the call can get because of what `op` has just changed, at the most. A
 * group (run) counts as a whole if it is whole now, else not at all. SAMPLE_EVERYTHING: the call is
 * to be tried, since it may get what is left, end, or be wrong now. The cost grows with the op and
 * with the members of the groups that it completes. */
#define SAMPLE_EVERYTHING UINT64_MAX
uint64_t sample_matches(const struct store *s, const struct sample_call *call, const struct op *op,
                        struct scratch *scratch);

#endif
