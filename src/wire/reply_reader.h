/* RESP2 and RESP3 replies, read as they arrive.
 *
 * A reply is read item by item: an array is an item that says how many elements follow, each of
 * them an item of its own. Nothing is built, so a reply of a million elements costs no memory, and
 * the caller keeps what it wants. Input comes in pieces that end anywhere.
 *
 * The reader owns a small buffer and says where the next bytes go (reply_reader_room). A bulk of at
 * least `direct_from` bytes does not pass through the buffer: as soon as its length is known the
 * reader asks the caller for memory of that size, and the bytes are read from the socket straight
 * into it; only what came along in the read that held its header is copied.
 *
 * The other end is not trusted: depth, counts, lengths and lines are bounded, and nothing is
 * allocated because a header says so. What is read depends on the bytes alone, never on where the
 * pieces end. */
#ifndef TQ_WIRE_REPLY_READER_H
#define TQ_WIRE_REPLY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/span.h"

enum {
    REPLY_READER_DEPTH = 32,      /* aggregates within each other */
    REPLY_READER_MIN_BUFFER = 128 /* bytes: smaller limits are raised to this */
};

/* Elements of one aggregate; of a map, keys and values counted apart. */
#define REPLY_READER_MOST_ELEMENTS (UINT64_C(1) << 32)

struct reply_reader_limits {
    size_t buffer;      /* bytes; also the longest line, its CRLF included */
    size_t direct_from; /* a bulk from this size up is read directly; at most buffer - 2 counts */
    size_t max_bulk;    /* bytes of one bulk */
};

enum reply_item_kind {
    REPLY_ITEM_STATUS,
    REPLY_ITEM_ERROR, /* of a line or (RESP3) of a bulk; the code is its first word */
    REPLY_ITEM_INTEGER,
    REPLY_ITEM_DOUBLE,
    REPLY_ITEM_BOOLEAN,
    REPLY_ITEM_BIG_NUMBER, /* its digits are in `bytes` */
    REPLY_ITEM_NULL,       /* of RESP3, and the null bulk and null array of RESP2 */
    REPLY_ITEM_BULK,
    REPLY_ITEM_VERBATIM, /* `bytes` begins with the format: "txt:" */
    REPLY_ITEM_ARRAY,
    REPLY_ITEM_MAP,
    REPLY_ITEM_SET,
    REPLY_ITEM_PUSH,
    REPLY_ITEM_ATTRIBUTE, /* about the item that follows its elements, not counted as an element */
};

struct reply_item {
    enum reply_item_kind kind;
    size_t depth;      /* 0: a reply itself; its elements are at 1 */
    struct span bytes; /* a text or payload; in the reader's buffer unless direct, and then valid
                          until the next reply_reader_room */
    uint64_t count;    /* of an aggregate: elements that follow; a map of 2 pairs has 4 */
    int64_t integer;   /* also of a boolean: 0 or 1 */
    double number;     /* of a double */
    bool is_direct;    /* `bytes` is the memory that the caller gave */
    bool is_refused;   /* the caller gave no memory: bytes is {NULL, len}, the payload is lost */
    bool in_push;      /* part of a push message, which answers no request */
    bool ends_reply;   /* the reply (or push message) is whole with this item */
};

enum reply_reader_status {
    REPLY_READER_ITEM,
    REPLY_READER_MORE,   /* more input is needed */
    REPLY_READER_BROKEN, /* not RESP, or beyond a limit: the connection is lost */
};

/* Memory for a bulk of `len` bytes, which stays the caller's; NULL: none, the bulk is skipped. */
typedef void *reply_reader_memory(void *context, size_t len);

/* The fields are the reader's own. */
struct reply_reader {
    struct reply_reader_limits limits;
    reply_reader_memory *memory;
    void *context;
    char *buffer;
    size_t start, end; /* bytes of the buffer that are not looked at yet */
    size_t scanned;    /* bytes from `start` that hold no line end */
    struct {
        uint64_t left;
        bool is_attribute;
    } levels[REPLY_READER_DEPTH];
    size_t depth;
    bool in_push;
    int state;
    enum reply_item_kind kind; /* of the bulk being read */
    size_t bulk, arrived;      /* its length; bytes of it that arrived, if it is read directly */
    char *direct;              /* where it goes; NULL: nowhere */
};

/* `memory` may be NULL: then large bulks are skipped. */
void reply_reader_init(struct reply_reader *r, const struct reply_reader_limits *limits,
                       reply_reader_memory *memory, void *context);
void reply_reader_free(struct reply_reader *r);

/* Where the next bytes go: fills one or two iovecs and returns how many, at least one byte in all.
 * Call it after REPLY_READER_MORE (or at the beginning), read into them in order, then say how many
 * bytes came. */
size_t reply_reader_room(struct reply_reader *r, struct iovec iov[2]);
void reply_reader_received(struct reply_reader *r, size_t bytes);

/* The next item. After REPLY_READER_BROKEN, for which *error says why, only reply_reader_free is
 * allowed. */
enum reply_reader_status reply_reader_next(struct reply_reader *r, struct reply_item *item,
                                           struct error *error);

#endif
