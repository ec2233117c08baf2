/* See tape.h. */
#include "tape.h"

#include "base/mem.h"
#include "fail.h"
#include "store/arena.h"

static int tape_add(void *context, const struct dump_section *section, struct error *e) {
    (void)e;
    struct tape *tape = context;
    uint64_t len = 0;
    char *payload = mem_alloc(section->payload_len + 1);
    for (size_t i = 0; i < section->n_runs; len += section->runs[i++].len) {
        EXPECT(section->runs[i].len > 0, "run %zu", i);
        EXPECT(len + section->runs[i].len <= section->payload_len, "run %zu", i);
        memcpy(payload + len, section->runs[i].ptr, section->runs[i].len);
    }
    EXPECT(len == section->payload_len, "%llu", (unsigned long long)len);
    tape->sections =
        mem_grow(tape->sections, &tape->capacity, tape->n + 1, sizeof(*tape->sections));
    tape->sections[tape->n++] = (struct tape_section){
        .kind = section->kind,
        .head = span_of(mem_dup(section->head.ptr, section->head.len), section->head.len),
        .payload = span_of(payload, len),
    };
    return 0;
}

struct tape tape_record(const struct store *s, int64_t now_ms) {
    struct tape tape = {0};
    uint64_t cursor = 0;
    EXPECT(!dump_begin(s, now_ms, tape_add, &tape, NULL), "the store");
    for (struct partition *p; (p = store_next(s, &cursor));)
        EXPECT(!dump_partition(p, tape_add, &tape, NULL), "a partition");
    return tape;
}

void tape_free(struct tape *tape) {
    for (size_t i = 0; i < tape->n; i++) {
        mem_free((void *)tape->sections[i].head.ptr);
        mem_free((void *)tape->sections[i].payload.ptr);
    }
    mem_free(tape->sections);
    *tape = (struct tape){0};
}

bool tape_equal(const struct tape *a, const struct tape *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->sections[i].kind != b->sections[i].kind ||
            !span_equal(a->sections[i].head, b->sections[i].head) ||
            !span_equal(a->sections[i].payload, b->sections[i].payload))
            return false;
    return true;
}

int tape_load_section(struct load *l, unsigned kind, struct span head, struct span payload,
                      struct error *e) {
    struct chunk *chunk = NULL;
    int failed = payload.len ? load_room(l, payload.len, &chunk, e) : 0;
    if (failed) return failed;
    if (chunk) memcpy(chunk->memory, payload.ptr, payload.len);
    failed = load_section(l, kind, head, chunk, payload.len, e);
    if (chunk) chunk_unpin(chunk);
    return failed;
}

static int tape_load(const struct tape *tape, struct load *l, struct error *e) {
    int failed = 0;
    for (size_t i = 0; !failed && i < tape->n; i++) {
        const struct tape_section *section = &tape->sections[i];
        failed = tape_load_section(l, section->kind, section->head, section->payload, e);
    }
    return failed;
}

int tape_play(const struct tape *tape, struct store *s, struct error *e) {
    struct load *l = load_new(s, 0);
    struct op op;
    int failed = tape_load(tape, l, e);
    if (!failed) failed = load_finish(l, &op, e);
    if (!failed) store_apply(s, &op);
    load_free(l);
    return failed;
}
