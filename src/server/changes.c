/* See changes.h. */
#include "server/changes.h"

#include <stdlib.h>

#include "base/mem.h"
#include "server/server.h"
#include "store/store.h"

enum { CHANGES_KINDS = 32, CHANGES_LISTENERS = 16 };

/* The listeners of a kind of ops, in the order of registration. */
struct changes_kind {
    changes_listener *listeners[CHANGES_LISTENERS];
    size_t n;
};

struct changes {
    struct changes_kind kinds[CHANGES_KINDS];
};

struct changes *changes_new(void) {
    return mem_calloc(1, sizeof(struct changes));
}

void changes_free(struct changes *changes) {
    mem_free(changes);
}

void changes_listen(struct server *s, uint32_t kinds, changes_listener *listener) {
    for (size_t i = 0; i < CHANGES_KINDS; i++) {
        struct changes_kind *kind = &s->changes->kinds[i];
        if (!(kinds & CHANGES_OF(i))) continue;
        if (kind->n == CHANGES_LISTENERS) abort(); /* more modules than there are */
        kind->listeners[kind->n++] = listener;
    }
}

static void changes_notify(void *context, const struct op *op) {
    struct server *s = context;
    const struct changes_kind *kind = &s->changes->kinds[op->kind];
    for (size_t i = 0; i < kind->n; i++) kind->listeners[i](s, op);
}

void changes_begin(struct server *s) {
    store_on_change(s->store, changes_notify, s);
}
