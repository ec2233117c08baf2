/* Replies, written once, by reference where that is cheaper than copying.
 *
 * A reply is a queue of bytes on their way to one socket: text written here, and ranges by
 * reference to memory of others (a column's chunk), each with a release callback that runs when its
 * last byte is sent or the reply is dropped. It is kept in blocks: text grows from a block's front,
 * references to ranges, and where in the text each belongs, from its back; so a reply of a thousand
 * cells by reference costs a few blocks and nothing else. Blocks come from a pool shared by all
 * connections, so an idle connection holds none.
 *
 * One set of verbs for both protocols: in RESP2 a map is a flat array, null a null bulk, a double
 * a bulk, a boolean an integer. Verbs cannot fail. */
#ifndef TQ_WIRE_REPLY_H
#define TQ_WIRE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/span.h"

struct reply_pool; /* of blocks; one a process */
struct reply_pool *reply_pool_new(void);
void reply_pool_free(struct reply_pool *pool); /* after every reply that uses it */

/* All blocks, in use or spare. At most 4 MiB are spare: what a burst needed beyond that goes back
 * to the allocator as soon as it is sent. */
size_t reply_pool_bytes(const struct reply_pool *pool);

/* Of those, the bytes of blocks in use: what replies hold, without ranges by reference. */
size_t reply_pool_held(const struct reply_pool *pool);

struct reply {
    struct reply_pool *pool;
    struct reply_block *first, *last;
    /* bytes queued and not sent: the output buffer's size, ranges by reference included */
    size_t pending;
    size_t blocks;  /* bytes of its blocks: its part of reply_pool_held */
    size_t owed;    /* bytes of an announced bulk not yet supplied */
    int protocol;   /* 2 or 3 */
    /* CLIENT REPLY OFF and closing clients: verbs do nothing, references are released */
    bool discard;
    size_t most;    /* between reply_try and its end: what may be pending; else SIZE_MAX */
    size_t held;    /* the same of reply_pool_held */
    bool no_room;   /* between reply_try and its end: `held` was met */
    /* Called with each error, also where it is discarded; NULL: not. reply_init takes it out. */
    void (*on_error)(void *context, const struct error *e);
    void *context;
};

enum {
    /* Shorter ranges are copied, also by reply_ref: the kernel's work for a range of its own costs
     * as much as copying 1.5 to 2 KiB of cold memory (measured over TCP and unix sockets). Callers
     * need not choose; those that know use reply_bulk and save themselves a pin. */
    REPLY_REF_FROM = 2048
};

void reply_init(struct reply *r, struct reply_pool *pool); /* protocol 2 */
void reply_drop(struct reply *r); /* releases all that is queued; the reply is empty and usable */

void reply_status(struct reply *r, const char *text);     /* +OK; text without CR and LF */
void reply_error(struct reply *r, const struct error *e); /* -CODE text; controls become spaces */
void reply_errorf(struct reply *r, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reply_integer(struct reply *r, int64_t value);
void reply_double(struct reply *r, double value); /* the fewest digits that read back the same */
void reply_boolean(struct reply *r, bool value);
void reply_bulk(struct reply *r, struct span bytes);    /* copied */
void reply_text(struct reply *r, const char *text);     /* a C string as a bulk */
void reply_verbatim(struct reply *r, struct span text); /* RESP3 =txt:, RESP2 a bulk */
void reply_null(struct reply *r);                       /* RESP2 $-1, RESP3 _ */
void reply_null_array(struct reply *r);                 /* RESP2 *-1, RESP3 _ */
void reply_array(struct reply *r, size_t items);
void reply_map(struct reply *r, size_t pairs);
void reply_set(struct reply *r, size_t items);
void reply_push(struct reply *r, size_t items); /* RESP2: an array */

/* A bulk by reference, not copied: `release(context)` is called exactly once, when they are sent or
 * dropped; at once where no reference is kept: the reply discards, or the range is shorter than
 * REPLY_REF_FROM. The bytes must not change until then. `release` must not touch the reply. */
void reply_ref(struct reply *r, struct span bytes, void (*release)(void *context), void *context);

/* The same in parts: announce a bulk of `len` bytes, then supply exactly that many, copied or by
 * reference; then the end. Supplying another number is a bug and ends the process. */
void reply_bulk_begin(struct reply *r, size_t len);
void reply_bulk_copy(struct reply *r, struct span bytes);
void reply_bulk_ref(struct reply *r, struct span bytes, void (*release)(void *context),
                    void *context);
void reply_bulk_end(struct reply *r);

/* Room for exactly `len` contiguous bytes inside an announced bulk, for the caller to fill before
 * the next verb. Never NULL; when the reply discards it is memory that nobody reads. */
char *reply_bulk_reserve(struct reply *r, size_t len);

/* A reply that is perhaps too long. From reply_try on, verbs do nothing once more than `most` bytes
 * are pending, those from before included, or once all replies of the pool would hold more than
 * `held` bytes in blocks. (One block more is always granted, so that a short reply never fails
 * there.) reply_fits ends that: true, all is kept; false, it was too long, and what was written
 * since reply_try is taken back, references are released. Until then `no_room` says that `held` was
 * met. reply_take_back ends it too and takes it back in any case, also after reply_fits. Nothing
 * may be sent or dropped meanwhile, and no other reply_try begin. */
struct reply_mark {
    struct reply_block *last;
    size_t text, ranges, pending; /* text, ranges: of `last` */
    bool discard;
};
struct reply_mark reply_try(struct reply *r, size_t most, size_t held);
bool reply_fits(struct reply *r, const struct reply_mark *mark);
void reply_take_back(struct reply *r, const struct reply_mark *mark);

/* Sending: fill up to `max` iovecs with what is to go out next; returns how many, 0 when nothing
 * is pending. They are good until the next verb, reply_sent or reply_drop. Then say how many bytes
 * the socket took, at most what was peeked: ranges wholly sent are released, in order. */
size_t reply_peek(const struct reply *r, struct iovec *iov, size_t max);
void reply_sent(struct reply *r, size_t bytes);

#endif
