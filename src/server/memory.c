/* See memory.h. */
#include "server/memory.h"

#include "base/mem.h"
#include "server/client.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/matches.h"
#include "store/store.h"

enum {
    SQUEEZE_ROWS = 384 * 1024, /* a turn: 2 to 5 ms */
    SQUEEZE_BYTES = 8 * 1024 * 1024,
    SQUEEZE_PART = 4, /* of maxmemory: the most that is alive of a chunk that is moved out */
    SPARE_PART = 16,
    SPARE_LEAST = 4 * 1024 * 1024,
    REPLY_SHORT = 64 * 1024,
};

size_t server_memory_used(const struct server *s) {
    return mem_used() + arena_allocated(store_arena(s->store)) - s->clients->outstanding;
}

size_t server_memory_spare(const struct server *s) {
    return (size_t)s->maxmemory / SPARE_PART + SPARE_LEAST;
}

void server_memory_limit(struct server *s) {
    store_matches(s->store)->most = s->maxmemory ? server_memory_spare(s) : SIZE_MAX;
}

size_t server_memory_reply_most(const struct server *s) {
    return server_memory_spare(s) / 4 * 3;
}

size_t server_memory_replies(const struct server *s) {
    if (!s->maxmemory) return SIZE_MAX;
    size_t kept = s->pubsub->kept_bytes, held = reply_pool_held(s->reply_pool) + kept;
    size_t spare = server_memory_spare(s);
    size_t used = server_memory_used(s), limit = (size_t)s->maxmemory;
    size_t most = server_memory_reply_most(s), least = held + REPLY_SHORT;
    if (least > spare) least = spare;
    if (most < least) most = least;
    if (used < limit && most < held + (limit - used)) most = held + (limit - used);
    return most > kept ? most - kept : 0; /* messages were admitted while there was more */
}

/* How many bytes are missing for `more`. What indexes that are built are going to take is as good as
 * used. */
static size_t memory_missing(const struct server *s, size_t more) {
    size_t used = server_memory_used(s) + store_building_bytes(s->store);
    size_t limit = (size_t)s->maxmemory;
    if (more > limit) return more;
    return used + more > limit ? used + more - limit : 0;
}

/* Frees a kept set of matches, within the turn's budget, if all of them would be enough. */
static bool memory_drop_matches(struct server *s, size_t more) {
    struct match_cache *cache = store_matches(s->store);
    size_t *left = &s->memory.budget.bytes;
    if (!*left || memory_missing(s, more) > cache->bytes) return false;
    size_t freed = match_cache_drop(cache);
    *left -= freed < *left ? freed : *left;
    return freed != 0;
}

bool server_memory_full(struct server *s, size_t more) {
    if (!s->maxmemory) return false;
    if (!memory_missing(s, more)) {
        s->memory.task_bytes = store_task_bytes(s->store);
        return false;
    }
    while (memory_missing(s, more)) {
        if (more > (size_t)s->maxmemory) return true;
        if (store_is_reclaiming(s->store)) {
            store_reclaim(s->store, SERVER_RECLAIM_STEPS);
        } else if (!store_squeeze(s->store, (uint64_t)s->maxmemory / SQUEEZE_PART,
                                  &s->memory.budget) &&
                   !memory_drop_matches(s, more)) {
            if (more >= s->memory.wanted) s->memory.wanted = more + 1;
            if (more > s->memory.refused) s->memory.refused = more;
            return true;
        }
    }
    return false;
}

int server_check_beyond(struct server *s, bool needed, size_t bytes, struct error *e) {
    if (!server_memory_full(s, 0)) return 0;
    size_t most = server_memory_spare(s);
    if (needed) most = (size_t)s->maxmemory / 4 + 2 * SPARE_LEAST;
    int64_t now = store_task_bytes(s->store);
    if (now < s->memory.task_bytes) s->memory.task_bytes = now;
    if ((size_t)(now - s->memory.task_bytes) + bytes <= most) return 0;
    return server_refuse_memory(e);
}

int server_check_names(struct server *s, size_t bytes, struct error *e) {
    const struct subscriptions *names = s->pubsub->subscriptions;
    size_t held =
        names[PUBSUB_CHANNEL].bytes + names[PUBSUB_PATTERN].bytes + s->watchers.bytes + bytes;
    if (held <= server_memory_spare(s) || !server_memory_full(s, 0)) return 0;
    s->metrics.refused_oom++;
    return server_refuse_memory(e);
}

bool server_memory_turn(struct server *s) {
    s->memory.budget = (struct compact_budget){SQUEEZE_ROWS, SQUEEZE_BYTES};
    size_t wanted = s->memory.wanted;
    if (!wanted) return false;
    s->memory.wanted = 0;
    if (s->maxmemory && server_memory_full(s, wanted - 1)) {
        bool more = !s->memory.budget.rows || !s->memory.budget.bytes;
        if (!more) s->memory.wanted = 0; /* nothing that a move would free is left */
        return more;
    }
    waiter_signal(s, WAITER_SERVER);
    return waiter_is_due(s);
}

int server_refuse_memory(struct error *e) {
    return error_set(e, ERROR_OOM, "command not allowed when used memory > 'maxmemory'.");
}

int server_check_memory(struct server *s, struct error *e) {
    return server_memory_full(s, 0) ? server_refuse_memory(e) : 0;
}

int server_check_new_partition(struct server *s, struct span name, struct error *e) {
    return store_find(s->store, name) ? 0 : server_check_memory(s, e);
}
