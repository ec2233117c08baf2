/* The feed: what each turn did to the store, as one frame, for readers that follow the store.
 *
 * The feed listens to changes. While it has readers it encodes each op; at the end of the turn,
 * before any reply goes out, it hands the frame (persist/framer.h) to one reader after the other.
 * The op log is a reader, a link to a replica will be another. A reader that applies the ops of all
 * frames to a copy of the store has the same store. Without a reader nothing is encoded.
 *
 * Turns that changed something are numbered, with readers or without: a reader that finds a gap has
 * missed a turn. An OP_ADOPT names the snapshot in the log's directory that its partitions come
 * from (an empty name where there is no log), not their content. */
#ifndef TQ_SERVER_FEED_H
#define TQ_SERVER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct feed;
struct server;
struct turn_frame;

struct feed_reader {
    /* The frame of a turn, borrowed until the call returns. False: it can't be kept, and the server
     * has to end; readers behind this one do not get the frame. A reader may leave from inside; it
     * must not apply ops to the server's store. */
    bool (*take)(void *context, const struct turn_frame *frame);
    void *context;
    TAILQ_ENTRY(feed_reader) order; /* the feed's own */
};

struct feed *feed_new(struct server *s); /* and listens to changes */
void feed_free(struct feed *feed);       /* while the store is there */

/* The reader gets the frames of all turns from now on, behind those that are there. Not in a turn
 * that has changed something, unless its frame has been handed on. `reader` is the caller's and
 * stays where it is until feed_leave. */
void feed_join(struct server *s, struct feed_reader *reader);

/* The same, before all others: they get only what this reader could keep. */
void feed_join_first(struct server *s, struct feed_reader *reader);

void feed_leave(struct server *s, struct feed_reader *reader);

/* Bytes of the frame that this turn has so far. */
size_t feed_pending(const struct server *s);

/* The end of the turn: hands on its frame, if there is one. False where a reader could not keep it:
 * then nothing may be sent. */
bool feed_turn(struct server *s);

#endif
