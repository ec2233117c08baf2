/* Any bytes, in any pieces, through the RESP parser, and what it makes of them back through a
 * reply.
 *
 * An input is: one byte that chooses the limits, one that says how many piece sizes follow, these
 * (each a byte, used in turn; 0 stands for all that is left), then the stream. No more than 300
 * pieces are made, or long inputs would take all the time. What must hold: spans lie inside the run
 * and memory of direct reads is released exactly once (support/feed.h checks), the outcome is the
 * same whole and in pieces, and the arguments of a request, written as an array of bulks by the
 * reply writer, parse as the same arguments. */
#include <stdint.h>

#include "../support/feed.h"
#include "wire/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resp_limits FUZZ_LIMITS[] = {
    {.max_args = 4, .max_bulk = 16, .max_inline = 12, .max_total = 24, .direct_from = 4},
    {.max_args = 64, .max_bulk = 200, .max_inline = 100, .max_total = 1000, .direct_from = 32},
    {.max_args = 2, .max_bulk = 0, .max_inline = 0, .max_total = 0, .direct_from = 0},
    {.max_args = 100000,
     .max_bulk = 9000,
     .max_inline = 4000,
     .max_total = 20000,
     .direct_from = 1},
    {.max_args = SIZE_MAX,
     .max_bulk = SIZE_MAX,
     .max_inline = SIZE_MAX,
     .max_total = SIZE_MAX,
     .direct_from = SIZE_MAX},
};
enum { FUZZ_LIMITS_N = sizeof(FUZZ_LIMITS) / sizeof(*FUZZ_LIMITS) };
static const size_t FUZZ_REFUSE_FROM[FUZZ_LIMITS_N] = {12, 150, 1, 8000, 0};

static struct reply_pool *fuzz_pool;
static size_t fuzz_refs;

static void fuzz_release(void *context) {
    (void)context;
    FEED_CHECK(fuzz_refs > 0);
    fuzz_refs--;
}

/* The same bulk, written in one of the ways there are. */
static void fuzz_write(struct reply *r, struct span bytes, size_t way) {
    size_t half = bytes.len / 2;
    struct span head = span_of(bytes.ptr, half), tail = span_of(bytes.ptr + half, bytes.len - half);
    switch (way % 3) {
    case 0: reply_bulk(r, bytes); break;
    case 1:
        fuzz_refs++;
        reply_ref(r, bytes, fuzz_release, NULL);
        break;
    default:
        reply_bulk_begin(r, bytes.len);
        fuzz_refs++;
        reply_bulk_ref(r, head, fuzz_release, NULL);
        char *room = reply_bulk_reserve(r, tail.len);
        if (tail.len) memcpy(room, tail.ptr, tail.len);
        reply_bulk_end(r);
    }
}

/* All of a reply as one run, taken in uneven steps. */
static struct span fuzz_send(struct reply *r) {
    size_t size = r->pending, len = 0;
    char *run = malloc(size);
    for (size_t step = 1; r->pending; step = step * 3 + 1) {
        struct iovec iov[3];
        size_t n = reply_peek(r, iov, 3), taken = 0;
        FEED_CHECK(n > 0);
        for (size_t i = 0; i < n && taken < step; i++) {
            size_t part = iov[i].iov_len < step - taken ? iov[i].iov_len : step - taken;
            FEED_CHECK(part > 0 && part <= size - len);
            memcpy(run + len, iov[i].iov_base, part);
            len += part;
            taken += part;
        }
        reply_sent(r, taken);
    }
    FEED_CHECK(len == size && fuzz_refs == 0 && !r->first);
    return span_of(run, len);
}

static void fuzz_reply(const struct resp_parser *p) {
    if (p->refused) return;
    struct reply reply;
    reply_init(&reply, fuzz_pool);
    reply_array(&reply, p->argc);
    for (size_t i = 0; i < p->argc; i++) fuzz_write(&reply, p->argv[i].bytes, i + p->argc);
    struct span run = fuzz_send(&reply);

    struct resp_parser again;
    resp_init(&again, &FUZZ_LIMITS[FUZZ_LIMITS_N - 1], NULL);
    FEED_CHECK(resp_parse(&again, run, NULL) == RESP_COMMAND);
    FEED_CHECK(again.used == run.len && again.argc == p->argc);
    for (size_t i = 0; i < p->argc; i++)
        FEED_CHECK(span_equal(again.argv[i].bytes, p->argv[i].bytes));
    resp_free(&again);
    free((void *)(uintptr_t)run.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size - 2 < data[1] % 16u) return 0;
    size_t limits = data[0] % FUZZ_LIMITS_N, n_sizes = data[1] % 16u;
    const uint8_t *sizes = data + 2;
    const char *stream = (const char *)sizes + n_sizes;
    size_t len = size - 2 - n_sizes;
    if (!fuzz_pool) fuzz_pool = reply_pool_new();

    struct feed whole, pieces;
    feed_init(&whole, &FUZZ_LIMITS[limits], FUZZ_REFUSE_FROM[limits]);
    whole.seen = fuzz_reply;
    feed_piece(&whole, stream, len);

    feed_init(&pieces, &FUZZ_LIMITS[limits], FUZZ_REFUSE_FROM[limits]);
    for (size_t at = 0, i = 0; at < len; i++) {
        size_t n = n_sizes ? sizes[i % n_sizes] : 1;
        if (n == 0 || n > len - at || i == 300) n = len - at;
        feed_piece(&pieces, stream + at, n);
        at += n;
    }
    FEED_CHECK(whole.broken == pieces.broken);
    FEED_CHECK(strcmp(whole.transcript, pieces.transcript) == 0);
    feed_free(&whole);
    feed_free(&pieces);
    return 0;
}
