/* What opcodec_encode.c and opcodec_decode.c agree on, beside the essay of opcodec.h. */
#ifndef TQ_PERSIST_OPCODEC_FORM_H
#define TQ_PERSIST_OPCODEC_FORM_H

#include "store/op.h"
#include "store/partition.h"

/* Which members of an op_select are there. */
enum {
    OPCODEC_ALL = 1,
    OPCODEC_TASK = 2,
    OPCODEC_LEASE = 4,
    OPCODEC_RANK = 8,
    OPCODEC_SLICES = 16,
    OPCODEC_NAMES = 32,
    OPCODEC_TAGS = 64,
    OPCODEC_ONCE = 128,
};

enum { OPCODEC_GROUP_NONE = 0, OPCODEC_GROUP_SAME = 1, OPCODEC_GROUP_LENGTH = 2 };

static inline bool opcodec_has_end(enum op_kind kind) {
    return kind == OP_SAMPLE || kind == OP_EXTEND;
}

static inline bool opcodec_has_holder(enum op_kind kind) {
    return kind == OP_SAMPLE;
}

/* The checksum of the keys of a NACK with KEYS. */
static inline bool opcodec_has_request(enum op_kind kind, bool all) {
    return kind == OP_NACK && !all;
}

/* The first byte of a DEFINE with indexes; without, it is as in version 1. */
enum { OPCODEC_DEFINE_INDEXES = 64 + OP_DEFINE };

static inline uint8_t opcodec_kind(const struct op *op) {
    bool has_indexes = op->kind == OP_DEFINE && op->define.bounds->n_indexes;
    return (uint8_t)(has_indexes ? OPCODEC_DEFINE_INDEXES : op->kind);
}

#endif
