/* A reader of the feed beside the log, as a replica would be: it gets nothing but frames.
 *
 * It checks number, length and checksum of each frame, decodes its ops, checks them and applies them
 * to a store of its own, which has to be equal to the server's at the end of every turn. */
#ifndef TQ_TESTS_KIT_FOLLOWER_H
#define TQ_TESTS_KIT_FOLLOWER_H

#include "base/error.h"
#include "base/scratch.h"
#include "server/feed.h"
#include "store.h"

struct follower {
    struct feed_reader reader;
    struct server *server;
    struct store *store;
    struct scratch scratch;
    uint64_t number;   /* of the last frame; 0: none yet */
    uint64_t ops;      /* that it got */
    uint64_t left_out; /* the number of an op that it does not apply, from 1 on; 0: none */
    struct error why;  /* the first frame or op that was wrong; then it follows no longer */
};

/* Between turns, while the server's store is empty. */
void follower_begin(struct follower *f, struct server *s);
void follower_end(struct follower *f);

/* Between turns: does it hold what the server holds? *why says where not. */
bool follower_is_equal(const struct follower *f, char why[static KIT_DIFFERENCE]);

#endif
