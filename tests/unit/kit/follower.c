/* See follower.h. */
#include "follower.h"

#include <stdio.h>

#include "base/checksum.h"
#include "base/mem.h"
#include "persist/framer.h"
#include "server/server.h"
#include "store/check.h"

static int wrong(struct follower *f, const struct turn_frame *frame, const char *what) {
    return error_set(&f->why, ERROR_ERR, "frame %llu: %s", (unsigned long long)frame->number, what);
}

/* Decodes, checks and applies the next op, as a start does with those of the log. */
static int apply_next(struct follower *f, const struct turn_frame *frame, struct unpack *in) {
    struct op op;
    int failed = opcodec_decode(f->store, in, &f->scratch, &op, &f->why);
    if (!failed && op.kind == OP_ADOPT) failed = wrong(f, frame, "partitions from a snapshot");
    if (!failed && ++f->ops == f->left_out) return 0;
    if (!failed) failed = op_check(f->store, &op, &f->scratch, &f->why);
    if (!failed) store_apply(f->store, &op);
    scratch_reset(&f->scratch);
    return failed;
}

static bool take(void *context, const struct turn_frame *frame) {
    struct follower *f = context;
    if (f->why.code) return true;
    char *bytes = mem_alloc(frame->length);
    size_t at = 0;
    for (size_t i = 0; i < frame->n_parts; at += frame->parts[i++].iov_len)
        if (frame->parts[i].iov_len <= frame->length - at)
            memcpy(bytes + at, frame->parts[i].iov_base, frame->parts[i].iov_len);
    struct unpack in = unpack_of(span_of(bytes, frame->length));
    int failed = 0;
    if (f->number && frame->number != f->number + 1) failed = wrong(f, frame, "a turn is missing");
    if (!failed && at != frame->length) failed = wrong(f, frame, "its length is wrong");
    if (!failed && checksum64(span_of(bytes, frame->length)) != frame->sum)
        failed = wrong(f, frame, "its checksum is wrong");
    while (!failed && unpack_left(&in)) failed = apply_next(f, frame, &in);
    f->number = frame->number;
    mem_free(bytes);
    return true;
}

void follower_begin(struct follower *f, struct server *s) {
    *f = (struct follower){.server = s, .store = store_new(NULL)};
    f->reader = (struct feed_reader){.take = take, .context = f};
    feed_join(s, &f->reader);
}

void follower_end(struct follower *f) {
    feed_leave(f->server, &f->reader);
    store_free(f->store);
    scratch_free(&f->scratch);
}

bool follower_is_equal(const struct follower *f, char why[static KIT_DIFFERENCE]) {
    if (!f->why.code) return kit_is_same(f->server->store, f->store, why);
    snprintf(why, KIT_DIFFERENCE, "%s", f->why.text);
    return false;
}
