/* See trial.h. */
#include "trial.h"

#include "base/mem.h"
#include "fail.h"
#include "model_check.h"
#include "store/bounds.h"
#include "tape.h"

/* ---- the replica -------------------------------------------------------------------------- */

static void replicate(void *context, const struct op *op) {
    struct trial *t = context;
    if (op->kind == OP_ADOPT) return; /* a reload: nothing is new */
    t->changes++;
    if (t->shape.replica) replay_op(&t->replay, t->kit.store, op);
}

static void check_replica(struct trial *t) {
    char difference[KIT_DIFFERENCE];
    if (!t->shape.replica) return;
    EXPECT(kit_is_same(t->kit.store, t->replay.to, difference),
           "step %u: the replica holds something else:\n%s", t->steps, difference);
}

/* ---- outcomes ----------------------------------------------------------------------------- */

/* One of the errors that are due, or none and none. True when it went through. */
bool trial_agree(struct trial *t, const char *what, unsigned due, int failed) {
    if (failed == 0 && due == 0) return true;
    EXPECT(due & MODEL_ERROR(failed), "step %u: %s said '%s', due are %#x", t->steps, what,
           failed ? t->kit.error.text : "OK", due);
    EXPECT(t->kit.error.code == (enum error_code)failed && t->kit.error.text[0], "%s", what);
    bool full = due == MODEL_ERROR(ERROR_FULL);
    EXPECT(full ? t->kit.error.retryable == t->model.retryable
                : failed == ERROR_FULL || !t->kit.error.retryable,
           "step %u: %s said '%s', which %s", t->steps, what, t->kit.error.text,
           t->model.retryable ? "passes" : "does not pass");
    t->kit.error = (struct error){0};
    return false;
}

void trial_expect(struct trial *t, const char *what, size_t got, size_t expected) {
    EXPECT(got == expected, "step %u: %s: %zu, expected %zu", t->steps, what, got, expected);
}

static void unpin_direct(struct chunk *chunk) {
    if (chunk) chunk_unpin(chunk);
}

static void step_put(struct trial *t) {
    struct put put;
    bool skipped;
    size_t made;
    trial_draw_put(t, &put);
    unsigned due = model_put(&t->model, &put, &t->scratch, &skipped, &made);
    if (trial_agree(t, "put", due, kit_put(&t->kit, &put))) {
        EXPECT(skipped == t->kit.skipped, "step %u", t->steps);
        trial_expect(t, "put", t->kit.changed, made);
    }
    for (size_t i = 0; i < put.n_values; i++) unpin_direct(put.values[i].chunk);
}

static void step_mput(struct trial *t) {
    struct mput mput;
    struct op op;
    size_t made;
    trial_draw_mput(t, &mput);
    unsigned due = model_mput(&t->model, &mput, &t->scratch, &made);
    int failed = mput_plan(t->kit.store, &mput, WRITE_VALUES_FIRST, t->kit.now_ms, &t->scratch, &op,
                           &(bool){false}, &t->kit.error);
    if (trial_agree(t, "mput", due, failed))
        trial_expect(t, "mput", store_apply(t->kit.store, &op), made);
    for (size_t i = 0; i < mput.n_columns; i++) unpin_direct(mput.columns[i].chunk);
}

static void step_reset(struct trial *t) {
    struct reset reset = {0};
    size_t changed;
    trial_draw_select(t, &reset.select);
    if (source_below(&t->source, 2)) reset.task = trial_draw_task(t);
    unsigned due = model_reset(&t->model, &reset, &changed);
    struct op op;
    scratch_reset(&t->kit.scratch);
    int failed =
        reset_plan(t->kit.store, &reset, t->kit.now_ms, &t->kit.scratch, &op, &t->kit.error);
    if (!trial_agree(t, "reset", due, failed)) return;
    trial_expect(t, "reset", store_apply(t->kit.store, &op), changed);
    trial_retire(t, op.partition, op.select.all ? NULL : op.select.seqs, op.select.n);
}

static void clear_samples(struct trial *t, const struct clear *clear) {
    size_t n, changed = model_clear(&t->model, clear), told = t->changes;
    struct op op;
    scratch_reset(&t->kit.scratch);
    if (!clear_plan(t->kit.store, clear, t->kit.now_ms, &t->kit.scratch, &op)) {
        trial_expect(t, "clear", 0, changed);
        return;
    }
    const uint64_t *others =
        retire_left_alone(store_find(t->kit.store, op.partition), &op, &t->kit.scratch, &n);
    trial_expect(t, "clear", store_apply(t->kit.store, &op), changed);
    trial_expect(t, "what the hook was told", t->changes, told + 1);
    trial_retire(t, op.partition, others ? others : &(uint64_t){0}, n);
}

static void step_clear(struct trial *t) {
    struct clear clear = {0};
    struct span names[2];
    trial_draw_select(t, &clear.select);
    clear.what =
        source_below(&t->source, 3) ? SELECT_SAMPLES : SELECT_FIELDS + source_below(&t->source, 2);
    clear.n_names = clear.what == SELECT_SAMPLES ? 0 : 1 + source_below(&t->source, 2);
    for (size_t i = 0; i < clear.n_names; i++)
        names[i] = clear.what == SELECT_TAGS ? trial_draw_tag(t) : trial_draw_field(t);
    clear.names = names;
    if (clear.what == SELECT_SAMPLES && !clear.select.keys && source_below(&t->source, 8))
        return; /* a whole partition goes, or many samples: not that often */
    clear_samples(t, &clear);
}

static void step_bounds(struct trial *t) {
    struct op op;
    struct span partition = trial_draw_partition(t);
    if (source_below(&t->source, 6)) return;
    if (source_below(&t->source, 3) == 0) {
        bool ok = trial_agree(t, "seal", model_seal(&t->model, partition),
                              seal_plan(partition, t->kit.now_ms, &op, &t->kit.error));
        if (ok) store_apply(t->kit.store, &op);
        return;
    }
    const struct model_partition *p = model_find(&t->model, partition);
    uint64_t samples = (p ? p->written : 0) + source_below(&t->source, 20);
    if (samples > 2) samples -= 2;
    if (trial_agree(
            t, "expect", model_expect(&t->model, partition, samples),
            expect_plan(t->kit.store, partition, samples, t->kit.now_ms, &op, &t->kit.error)))
        store_apply(t->kit.store, &op);
}

/* ---- looking ------------------------------------------------------------------------------ */

/* Seqs of samples that are there; *n is 0 where there are none. */
static uint64_t *draw_seqs(struct trial *t, struct span partition, size_t *n) {
    const struct model_partition *p = model_find(&t->model, partition);
    *n = p && p->n ? 1 + source_below(&t->source, 40) : 0;
    uint64_t *seqs = scratch_alloc(&t->scratch, *n, sizeof(*seqs));
    uint64_t at = *n ? source_below(&t->source, p->n) : 0;
    bool in_order = source_below(&t->source, 2);
    for (size_t i = 0; i < *n; i++)
        seqs[i] = p->samples[in_order ? (at + i) % p->n : source_below(&t->source, p->n)]->seq;
    return seqs;
}

static void step_look(struct trial *t) {
    struct span partition = trial_draw_partition(t);
    struct span fields[] = {trial_draw_field(t), trial_draw_field(t)};
    struct span task = source_below(&t->source, 3) ? trial_draw_task(t) : span_of(NULL, 0);
    struct where where = trial_draw_where(t, 2);
    model_check_ready(&t->model, t->kit.store, partition, task, fields, source_below(&t->source, 3),
                      &where, &t->scratch);
    size_t n;
    uint64_t *seqs = draw_seqs(t, partition, &n);
    model_check_gather(&t->model, t->kit.store, partition, fields[0], seqs, n, &t->scratch);
}

/* ---- pins --------------------------------------------------------------------------------- */

/* Lend a value as a reply would, whatever becomes of it meanwhile. */
static void step_pin(struct trial *t) {
    size_t n;
    struct span partition = trial_draw_partition(t);
    uint64_t *seqs = draw_seqs(t, partition, &n);
    if (n == 0 || t->n_pins == TRIAL_PINS) return;
    const struct partition *p = store_find(t->kit.store, partition);
    const struct column *c = column_set_find(&p->fields, trial_draw_field(t));
    const struct cell *cell = c ? column_cell(c, seqs[0]) : NULL;
    if (!cell || !cell->chunk) return;
    struct trial_pin *pin = &t->pins[t->n_pins++];
    pin->chunk = arena_chunk(p->home.arena, cell->chunk);
    pin->bytes = span_of(pin->chunk->memory + cell->offset, cell->length);
    pin->copy = mem_dup(pin->bytes.ptr, pin->bytes.len);
    chunk_pin(pin->chunk);
}

static void unpin(struct trial *t, size_t i) {
    struct trial_pin *pin = &t->pins[i];
    EXPECT(memcmp(pin->bytes.ptr, pin->copy, pin->bytes.len) == 0, "step %u", t->steps);
    mem_free(pin->copy);
    chunk_unpin(pin->chunk);
    *pin = t->pins[--t->n_pins];
}

static void orphans(const struct trial *t, size_t *n, size_t *bytes) {
    *n = *bytes = 0;
    for (size_t i = 0; i < t->n_pins; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++) seen |= t->pins[j].chunk == t->pins[i].chunk;
        if (seen || t->pins[i].chunk->owner) continue;
        ++*n;
        *bytes += chunk_size(t->pins[i].chunk);
    }
}

/* Everything goes through a snapshot, and the walk goes on with what came out of it. */
static void step_reload(struct trial *t) {
    if (source_below(&t->source, 8)) return;
    struct tape tape = tape_record(t->kit.store, t->kit.now_ms);
    EXPECT(!tape_play(&tape, t->kit.store, &t->kit.error), "step %u: %s", t->steps,
           t->kit.error.text);
    struct tape again = tape_record(t->kit.store, t->kit.now_ms);
    EXPECT(tape_equal(&tape, &again), "step %u: the reloaded store writes itself differently",
           t->steps);
    tape_free(&tape);
    tape_free(&again);
}

/* ---- the walk ----------------------------------------------------------------------------- */

void trial_open(struct trial *t, struct source source, const struct trial_shape *shape) {
    *t =
        (struct trial){.source = source, .shape = *shape, .kit = t->kit, .replay.to = t->replay.to};
    if (!t->kit.store) kit_open(&t->kit);
    if (!t->replay.to && shape->replica) t->replay.to = store_new(NULL);
    t->model.last_lease = store_leases(t->kit.store)->last_id; /* which go on */
    store_on_change(t->kit.store, replicate, t);
    for (size_t i = 0; i < sizeof(t->flavour); i++)
        t->flavour[i] = (uint8_t)source_below(&t->source, 256);
}

void trial_check(struct trial *t) {
    size_t n, bytes;
    orphans(t, &n, &bytes);
    model_check(&t->model, t->kit.store, n, bytes);
    check_replica(t);
    for (size_t i = 0; i < t->n_pins; i++)
        EXPECT(memcmp(t->pins[i].bytes.ptr, t->pins[i].copy, t->pins[i].bytes.len) == 0,
               "step %u: what is lent changed", t->steps);
}

void trial_step(struct trial *t) {
    static void (*const steps[])(struct trial *) = {
        step_put,          step_put,          step_put,          step_put,
        step_put,          step_put,          step_put,          step_put,
        step_mput,         step_mput,         step_mput,         trial_step_sample,
        trial_step_sample, trial_step_sample, trial_step_sample, trial_step_sample,
        trial_step_lease,  trial_step_lease,  trial_step_clock,  trial_step_define,
        step_reset,        step_clear,        step_clear,        step_bounds,
        step_look,         step_pin,          step_reload};
    scratch_reset(&t->scratch);
    t->model.retryable = false;
    /* Without a decision of the source, so that its bytes mean what they did. */
    if (t->steps % 4 == 0) store_build_indexes(t->kit.store, 5);
    steps[source_below(&t->source, sizeof(steps) / sizeof(steps[0]))](t);
    if (t->n_pins && source_below(&t->source, 20) == 0)
        unpin(t, source_below(&t->source, t->n_pins));
    if (++t->steps % t->shape.check_every == 0) trial_check(t);
}

void trial_end(struct trial *t) {
    trial_check(t);
    while (t->n_pins) unpin(t, 0);
    trial_check(t);
    model_free(&t->model);
    kit_empty(&t->kit);
    check_replica(t);
    scratch_free(&t->scratch);
    replay_free(&t->replay);
    store_on_change(t->kit.store, NULL, NULL);
}

void trial_close(struct trial *t) {
    trial_end(t);
    if (t->replay.to) store_free(t->replay.to);
    size_t left = kit_close(&t->kit);
    EXPECT(left == 0, "%zu bytes did not come back", left);
    *t = (struct trial){0};
}
