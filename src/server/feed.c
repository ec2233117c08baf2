/* See feed.h. */
#include "server/feed.h"

#include "base/mem.h"
#include "persist/framer.h"
#include "server/changes.h"
#include "server/server.h"

struct feed {
    TAILQ_HEAD(, feed_reader) readers;
    struct framer framer; /* empty while there are no readers */
    uint64_t turns;       /* that changed something */
    bool is_changed;      /* by the turn that runs */
};

static void feed_on_change(struct server *s, const struct op *op) {
    struct feed *feed = s->feed;
    feed->is_changed = true;
    if (!TAILQ_EMPTY(&feed->readers)) framer_add(&feed->framer, s->store, op);
}

struct feed *feed_new(struct server *s) {
    struct feed *feed = mem_calloc(1, sizeof(*feed));
    TAILQ_INIT(&feed->readers);
    framer_init(&feed->framer);
    changes_listen(s, CHANGES_ALL, feed_on_change);
    return feed;
}

void feed_free(struct feed *feed) {
    framer_free(&feed->framer);
    mem_free(feed);
}

void feed_join(struct server *s, struct feed_reader *reader) {
    TAILQ_INSERT_TAIL(&s->feed->readers, reader, order);
}

void feed_join_first(struct server *s, struct feed_reader *reader) {
    TAILQ_INSERT_HEAD(&s->feed->readers, reader, order);
}

void feed_leave(struct server *s, struct feed_reader *reader) {
    struct feed *feed = s->feed;
    TAILQ_REMOVE(&feed->readers, reader, order);
    if (TAILQ_EMPTY(&feed->readers)) framer_clear(&feed->framer);
}

size_t feed_pending(const struct server *s) {
    return framer_len(&s->feed->framer);
}

bool feed_turn(struct server *s) {
    struct feed *feed = s->feed;
    struct turn_frame frame;
    bool is_kept = true;
    if (!feed->is_changed) return true;
    feed->is_changed = false;
    feed->turns++;
    if (!framer_len(&feed->framer)) return true;
    framer_end(&feed->framer, feed->turns, s->now_ms, &frame);
    struct feed_reader *reader = TAILQ_FIRST(&feed->readers), *next;
    for (; reader && is_kept; reader = next) {
        next = TAILQ_NEXT(reader, order);
        is_kept = reader->take(reader->context, &frame);
    }
    framer_clear(&feed->framer);
    return is_kept;
}
