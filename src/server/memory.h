/* What counts against maxmemory, and what happens where it is passed.
 *
 * Before anything is refused, memory without a use is given back: partitions that were dropped
 * are freed, and live bytes are moved out of chunks that are partly dead, the deadest first. Where
 * that is not enough and the kept answers of WHERE (matches.h) are, these are freed. All of it is
 * work, of which a turn does a bounded amount; what it leaves, the next turns do, so that a
 * refused write can be repeated and one with BLOCK is tried again.
 *
 * Some things have to go on while memory is full: commands that free memory have to be read and
 * kept in MULTI, calls have to be parked, replies wait to be sent, tasks have to consume. Each of
 * these kinds may hold server_memory_spare bytes in all then, whatever the number of clients. What
 * ops about tasks take is measured as they are applied (store_task_bytes), so that what goes gives
 * its room back. */
#ifndef TQ_SERVER_MEMORY_H
#define TQ_SERVER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"
#include "store/compact.h"

struct server;

struct server_memory {
    struct compact_budget budget; /* of this turn */
    size_t wanted;  /* bytes that were refused, and may become free by more work, + 1; 0: none */
    size_t refused; /* the most that was refused at once since the last tick */
    /* The least of store_task_bytes since memory is full: what was there before does not count for
     * server_check_beyond. */
    int64_t task_bytes;
};

/* Bytes held for clients, as maxmemory counts: payload, indexes, buffers, bulks on their way in as
 * far as they have arrived, replies on their way out. */
size_t server_memory_used(const struct server *s);

/* Would `more` bytes go beyond maxmemory, after what could be given back within the turn's budget?
 * Cells may move: spans into columns are void afterwards. */
bool server_memory_full(struct server *s, size_t more);

/* ERROR_OOM, in Redis' words. */
int server_refuse_memory(struct error *e);

/* That, where maxmemory is passed; else 0. */
int server_check_memory(struct server *s, struct error *e);

/* Call before an op that makes the partition if it is not there: ERROR_OOM where maxmemory is
 * passed and it is new. Names take memory too, also without samples. */
int server_check_new_partition(struct server *s, struct span name, struct error *e);

/* Bytes that one kind of thing may hold of all clients while memory is full: a sixteenth of
 * maxmemory, and 4 MiB. */
size_t server_memory_spare(const struct server *s);

/* Call once there is a store, and when maxmemory has changed: the kept answers of WHERE may hold
 * server_memory_spare, or anything without maxmemory. */
void server_memory_limit(struct server *s);

/* How much the blocks of all replies and messages together may hold (reply_pool_held) when another
 * one has been written: what maxmemory leaves, or three quarters of server_memory_spare, or all of that where
 * the reply is a short one of up to 64 KiB. SIZE_MAX without maxmemory. */
size_t server_memory_replies(const struct server *s);

/* The least of that, whatever maxmemory leaves: a longer reply is refused while memory is full. */
size_t server_memory_reply_most(const struct server *s);

/* Call before an op about tasks that takes about `bytes` more. ERROR_OOM if what such ops have taken
 * since memory is full, and not given back, would be more than server_memory_spare; with `needed`
 * (samples wait for the task, or it has consumed before: nothing else may free memory) more than a
 * quarter of maxmemory and 8 MiB. This is no bound of used memory, which may be far beyond a
 * maxmemory that was lowered. */
int server_check_beyond(struct server *s, bool needed, size_t bytes, struct error *e);

/* Call before a client subscribes to, or watches, names that take so many bytes
 * (subscriptions_cost): ERROR_OOM if memory is full and all such names would take more than
 * server_memory_spare. */
int server_check_names(struct server *s, size_t bytes, struct error *e);

/* The end of the turn: goes on with what a refusal was for, within the budget of the next turn.
 * True where there is more to do. */
bool server_memory_turn(struct server *s);

#endif
