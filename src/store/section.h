/* A snapshot's sections: what a store is cut into when it is written down, and put together from.
 *
 * A section has a kind, a head (packed fields, small) and a payload (keys or values back to back). A store is one STORE section, then,
 * for each partition, PARTITION and what belongs to it: the ranges of its rows in order, each with ROWS before all that speaks of
 * these rows; then what its tasks remember. docs/format.md has the layout of each head. dump.h writes them, load.h reads them;
 * neither knows where they are kept.
 *
 * Sections about rows never cross a multiple of RANGE_ROWS. They are cut before the row whose bytes would bring the payload over
 * SECTION_PAYLOAD; one value that is longer is a section of its own. So what did not change between two snapshots is, byte by
 * byte, the same section in both. */
#ifndef TQ_STORE_SECTION_H
#define TQ_STORE_SECTION_H

enum section_kind {
    SECTION_STORE = 1, /* the clock, the last lease's id; the first one */
    SECTION_PARTITION =
        2, /* its name and what is said of it as a whole; the counts of all that follows */
    SECTION_ROWS = 3,     /* of a range: who is alive, written when; payload: keys */
    SECTION_GROUPS = 4,   /* of a range: which group each is in; payload: group ids */
    SECTION_COLUMN = 5,   /* of a range: cells of a field or tag; payload: values */
    SECTION_CONSUMED = 6, /* of a range: what a task has consumed */
    SECTION_LEASES = 7,   /* of a task */
    SECTION_RANKS = 8,    /* batches of a task's ranks */
    SECTION_DONE = 9,     /* which batches a task's ranks are done with */
    SECTION_ENDED = 10,   /* replies to TQ.ACK and TQ.NACK */
    SECTION_ONCE = 11,    /* batches of ONCE */
    SECTION_KINDS
};

enum {
    SECTION_PAYLOAD = 4 << 20, /* bytes */
    SECTION_HEAD = 1 << 20,    /* bytes from which on a head of leases or batches ends */
};

/* First byte of a set of rows, of lengths. */
enum section_set {
    SECTION_SET_ALL =
        0, /* all of them: ROWS: from the first to the last; else those alive in between */
    SECTION_SET_BITS = 1, /* words of bits follow */
};

enum section_lengths {
    SECTION_LENGTHS_SAME = 0, /* one length for all */
    SECTION_LENGTHS_EACH = 1,
};

/* Bits of a batch in RANKS. SHARED: the batch has the fingerprint of the one before it. */
enum { SECTION_RANK_DELIVERED = 1, SECTION_RANK_SHARED = 2 };

/* Bits of a PARTITION. */
enum { SECTION_EXPECTED = 1, SECTION_SEALED = 2 };

#endif
