/* Ops: what happens to data, as values.
 *
 * A request says what is wanted ("sixteen samples, oldest first"), an op what was done ("seqs 4, 7,
 * 9 are consumed by task t"). Planning turns one into the other and may fail; applying an op
 * cannot. Every change goes through store_apply, so whoever must know of changes (waiters, later
 * log and replicas) hooks in there, and replaying the ops in order gives the same store.
 *
 * Everything an op points at is borrowed until it is applied and the hook (store_on_change) has
 * returned. */
#ifndef TQ_STORE_OP_H
#define TQ_STORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checksum.h"
#include "base/span.h"
#include "store/column.h"
#include "store/dtype.h"

struct bounds;
struct partition;

/* The numbers are stored: new kinds go to the end. */
/* Logs hold these numbers (persist/opcodec.h): new kinds come last. */
enum op_kind {
    OP_PUT,     /* samples are made or get cells, tags, groups */
    OP_SAMPLE,  /* a task consumes samples, or leases them */
    OP_DELIVER, /* a rank fetches a batch that was decided before */
    OP_ACK,     /* leased samples are consumed */
    OP_EXPIRE,  /* leased samples come back: the lease ran out */
    OP_EXTEND,  /* a lease ends later */
    OP_RESET,   /* samples become unconsumed */
    OP_CLEAR,   /* samples go */
    OP_ERASE,   /* cells or tags of samples go */
    OP_DEFINE,  /* the partition's bounds and declared fields; makes it */
    OP_EXPECT,  /* how many samples there will be */
    OP_SEAL,    /* no more samples will come */
    OP_DROP,    /* the partition goes */
    OP_ADOPT, /* partitions loaded from a snapshot come in, each in place of the one of its name */
    OP_DONE,  /* a rank is done with all its batches up to one */
    OP_NACK,  /* leased samples are given back, by a command whose reply is remembered */
    OP_CONFIRM, /* a call with ONCE and a higher number arrived, or a hold ended: see once.h */
};

/* One column of an OP_PUT. */
struct op_column {
    struct span name;
    struct dtype type; /* the column's type from now on */
    struct column_values values;
};

struct op_put {
    size_t n;
    const uint64_t *seqs; /* n */
    size_t n_new;
    /* n_new: those of seqs that are made, from the partition's next seq on */
    const uint64_t *new_seqs;
    const struct span *keys;      /* n_new */
    const struct span *group_ids; /* n or NULL; a NULL ptr where the sample joins none */
    const uint32_t *group_sizes;  /* n or NULL */
    size_t n_tags, n_columns;
    const struct op_column *tags; /* types are bytes */
    const struct op_column *columns;
};

/* The lease that an op gives, or is about. */
struct op_lease {
    uint64_t id;        /* 0: none */
    int64_t ends_ms;    /* OP_SAMPLE, OP_EXTEND */
    struct span holder; /* OP_SAMPLE: the client that got it, for people */
    uint64_t request;   /* OP_NACK of some samples: ended_keys of the command's keys */
};

/* A call of TQ.SAMPLE with ONCE. */
struct op_once {
    struct span holder; /* ptr NULL: none */
    uint64_t number;
    struct checksum128 request; /* OP_SAMPLE: of the other arguments */
    int64_t held_until_ms;      /* OP_SAMPLE: samples that were consumed; 0 with a lease */
};

/* What a TQ.SAMPLE with RANK and BATCH decided, or (OP_DELIVER) got of what was decided. OP_DONE:
 * `batch` is the last one that the rank is done with. */
struct op_rank {
    bool given;
    uint64_t rank, batch;
    struct span fingerprint; /* COUNT, sampler and WHERE, as bytes to compare */
    size_t n_slices;         /* with slices: how many ranks */
    /* n_slices + 1 places in seqs: each rank's slice; NULL: all is this rank's */
    const size_t *slices;
};

/* OP_SAMPLE, OP_DELIVER, OP_ACK, OP_EXPIRE, OP_NACK, OP_EXTEND, OP_RESET, OP_CLEAR, OP_ERASE,
 * OP_DONE, OP_CONFIRM: which samples. */
struct op_select {
    /* Every sample of the partition (OP_ACK, OP_EXPIRE, OP_NACK: of the lease, which has n): seqs
     * is not read. */
    bool all;
    size_t n;
    const uint64_t *seqs;
    struct span task; /* OP_SAMPLE and those of leases; OP_RESET: ptr NULL for all tasks */
    struct op_lease lease;
    struct op_rank rank;
    struct op_once once; /* OP_SAMPLE, OP_CONFIRM */
    size_t n_names; /* OP_ERASE */
    const struct span *names;
    bool tags; /* the names are tags, not fields */
};

/* OP_DEFINE: what holds from now on. */
struct op_define {
    const struct bounds *bounds;
    size_t n_fields;
    const struct op_column *fields; /* name and type; declared from now on */
};

/* OP_ADOPT, of no partition: all of these or, before it is applied, none. See load.h. */
struct op_adopt {
    size_t n;
    struct partition *const *partitions; /* made for this store; the op owns them */
    uint64_t last_lease;                 /* leases given from now on have higher ids */
    /* Where whoever replays the op finds them: a log has this instead of the partitions. */
    struct span source; /* the name of a snapshot */
    size_t n_names;
    const struct span *names;
};

/* The last moment of an op from a file: times are added and compared, half of what there is leaves room for that. */
#define OP_TIME_MAX (INT64_MAX / 2)

struct op {
    enum op_kind kind;
    struct span partition;
    int64_t now_ms; /* wall clock */
    union {
        struct op_put put;
        struct op_select select;
        struct op_define define;
        struct op_adopt adopt;
        uint64_t expected;
    };
};

#endif
