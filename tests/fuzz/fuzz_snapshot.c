/* A store put together from whatever sections bytes can spell.
 *
 * An input is sections one after the other: the kind, then head and payload, each behind its length as a varint. There are no checksums
 * in the way: those are of the file around them. What is refused must leave nothing. What is accepted must hold together: written
 * down and read again it is the same store, its leases run out, its samples can be taken, forgotten and cleared, and in the end
 * all payload is back. */
#include <stdint.h>

#include "../unit/kit/fail.h"
#include "../unit/kit/store.h"
#include "../unit/kit/tape.h"
#include "base/pack.h"
#include "store/lease.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool load_bytes(struct load *l, struct unpack u, struct error *e) {
    while (unpack_left(&u)) {
        uint8_t kind = unpack_u8(&u);
        struct span head = unpack_span(&u), payload = unpack_span(&u);
        if (u.bad || tape_load_section(l, kind, head, payload, e)) return false;
    }
    return true;
}

static bool adopt_bytes(struct kit *k, const uint8_t *data, size_t size) {
    struct load *l = load_new(k->store, size);
    struct op op;
    bool loaded =
        load_bytes(l, unpack_of(span_of(data, size)), &k->error) && !load_finish(l, &op, &k->error);
    if (loaded) store_apply(k->store, &op);
    load_free(l);
    return loaded;
}

/* Through another snapshot, it is the same. */
static void reload(struct kit *k) {
    struct span before = kit_dump(k->store);
    struct tape tape = tape_record(k->store, 0);
    EXPECT(!tape_play(&tape, k->store, &k->error), "%s", k->error.text);
    struct tape again = tape_record(k->store, 0);
    struct span after = kit_dump(k->store);
    EXPECT(span_equal(before, after) && tape_equal(&tape, &again), "another store");
    kit_dump_free(before);
    kit_dump_free(after);
    tape_free(&tape);
    tape_free(&again);
}

/* What tasks do: give back what they have leased, take what is there, forget. */
static void use(struct kit *k, const struct partition *p) {
    struct op op;
    struct sampled sampled;
    struct span name = p->name, task = SPAN_LITERAL("task"), field = {0};
    if (p->n_tasks) task = p->tasks[0]->name;
    if (p->fields.count) field = column_name(p->fields.columns[0]);
    struct sample_call call = {.partition = name,
                               .task = task,
                               .count = 4,
                               .at_least = 1,
                               .n_fields = p->fields.count ? 1 : 0,
                               .fields = p->fields.count ? &field : NULL,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    if (kit_sample(k, &call, &sampled) == 0 && p->samples) {
        uint64_t seq = partition_next(p, 0);
        struct span key = partition_key(p, seq);
        struct reset reset = {.select = {.partition = name, .n_keys = 1, .keys = &key}};
        kit_reset(k, &reset);
    }
    while (lease_plan_expiry(k->store, INT64_MAX - 1, &op)) store_apply(k->store, &op);
    for (uint64_t seq; (seq = partition_next(p, 0)) != SEQ_NONE;)
        store_apply(
            k->store,
            &(struct op){.kind = OP_CLEAR, .partition = name, .select = {.n = 1, .seqs = &seq}});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct kit k;
    if (!k.store) kit_open(&k);
    if (adopt_bytes(&k, data, size)) {
        uint64_t cursor = 0;
        reload(&k);
        for (struct partition *p; (p = store_next(k.store, &cursor));) use(&k, p);
        reload(&k);
    }
    kit_empty(&k);
    scratch_reset(&k.scratch);
    return 0;
}
