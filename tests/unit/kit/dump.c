/* All that a store holds, as text: see kit_dump in store.h.
 *
 * What nobody can see is left out: which slot a partition sits in, where values lie, what a lease or a rank's batch once held
 * and was cleared since, batches of which nothing is left. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

#define U(number) (unsigned long long)(number)

static void dump_span(FILE *out, const char *before, struct span bytes) {
    fprintf(out, "%s%zu:", before, bytes.len);
    fwrite(bytes.ptr, 1, bytes.len, out);
}

/* ---- samples ------------------------------------------------------------------------------ */

static void dump_columns(FILE *out, const char *what, const struct column_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        const struct column *c = set->columns[i];
        dump_span(out, what, column_name(c));
        fprintf(out, " %s produced %llu bytes %llu%s\n", DTYPE_NAME(column_type(c)), U(c->produced),
                U(c->bytes), c->declared ? " declared" : "");
    }
}

static void dump_cells(FILE *out, const char *what, const struct column_set *set, uint64_t seq) {
    for (size_t i = 0; i < set->count; i++) {
        struct span value;
        if (!column_get(set->columns[i], seq, &value)) continue;
        struct dtype item = column_item_type(set->columns[i], seq);
        fprintf(out, " %s%zu", what, i);
        dump_span(out, DTYPE_NAME(&item), value);
    }
}

static void dump_sample(FILE *out, const struct partition *p, uint64_t seq) {
    fprintf(out, " sample %llu at %u", U(seq), partition_written(p, seq));
    dump_span(out, " ", partition_key(p, seq));
    uint32_t number = partition_group(p, seq);
    if (number != GROUP_NONE) {
        const struct group *g = groups_get(p->groups, number);
        dump_span(out, " group ", g->id);
        fprintf(out, " %u/%u%s", g->members, g->size, g->broken ? " broken" : "");
    }
    dump_cells(out, "f", &p->fields, seq);
    dump_cells(out, "t", &p->tags, seq);
    for (size_t i = 0; i < p->n_tasks; i++) {
        if (task_has_consumed(p->tasks[i], seq)) fprintf(out, " had%zu", i);
        if (task_is_leased(p->tasks[i], seq)) fprintf(out, " leased%zu", i);
        if (task_is_held(p->tasks[i], seq)) fprintf(out, " held%zu", i);
    }
    fputc('\n', out);
}

/* ---- tasks -------------------------------------------------------------------------------- */

static void dump_lease(FILE *out, const struct task *task, const struct lease *lease) {
    fprintf(out, "  lease %llu of %lld to %lld", U(lease->id), (long long)lease->given_ms,
            (long long)lease->ends_ms);
    dump_span(out, " by ", lease->holder);
    for (size_t i = 0; i < lease->n; i++)
        if (task_is_leased(task, lease->seqs[i])) fprintf(out, " %llu", U(lease->seqs[i]));
    fputc('\n', out);
}

static int compare_batches(const void *a, const void *b) {
    const struct rank_at *x = a, *y = b;
    if (x->rank != y->rank) return x->rank > y->rank ? 1 : -1;
    return (x->batch_number > y->batch_number) - (x->batch_number < y->batch_number);
}

static void dump_batch(FILE *out, const struct partition *p, const struct rank_at *at) {
    const struct rank_batch *batch = at->batch;
    fprintf(out, "  rank %llu batch %llu%s", U(at->rank), U(at->batch_number),
            batch->delivered ? " handed" : "");
    dump_span(out, " how ", rank_batch_fingerprint(batch));
    for (size_t i = 0; i < batch->n; i++)
        if (partition_alive(p, batch->seqs[i])) fprintf(out, " %llu", U(batch->seqs[i]));
    fputc('\n', out);
}

/* By rank and number: in which order they stand depends on what was forgotten when. */
static void dump_batches(FILE *out, const struct partition *p, const struct ranks *ranks) {
    struct rank_at *batches = calloc(ranks->n + 1, sizeof(*batches)), at = {0};
    size_t n = 0;
    while (ranks_next(ranks, &at))
        if (rank_batch_lives(at.batch, p) || !ranks_is_done(ranks, at.rank, at.batch_number))
            batches[n++] = at;
    qsort(batches, n, sizeof(*batches), compare_batches);
    for (size_t i = 0; i < n; i++) dump_batch(out, p, &batches[i]);
    free(batches);
    for (size_t i = 0; i < ranks->n_done; i++)
        fprintf(out, "  rank %llu done %llu\n", U(ranks->done[i].rank), U(ranks->done[i].batch));
}

static void dump_task(FILE *out, const struct partition *p, const struct task *task) {
    dump_span(out, " task ", task->name);
    fprintf(out, " consumed %llu leased %llu\n", U(task->consumed), U(task->leased));
    for (const struct lease *l = lease_after(task, 0); l; l = lease_after(task, l->id))
        dump_lease(out, task, l);
    dump_batches(out, p, &task->ranks);
}

/* ---- partitions --------------------------------------------------------------------------- */

static void dump_bounds(FILE *out, const struct bounds *bounds) {
    fprintf(out, " bounds samples %llu bytes %llu ahead %llu", U(bounds->samples), U(bounds->bytes),
            U(bounds->ahead));
    if (bounds->ahead_task.ptr) dump_span(out, " of ", bounds->ahead_task);
    for (size_t i = 0; i < bounds->n_retire; i++) dump_span(out, " retire ", bounds->retire[i]);
    for (size_t i = 0; i < bounds->n_indexes; i++) dump_span(out, " index ", bounds->indexes[i]);
    fputc('\n', out);
}

static void dump_ended(FILE *out, const struct ended *ended) {
    for (size_t i = 0; i < ended->n; i++) {
        const struct ended_reply *reply = ended_at(ended, i);
        dump_span(out, " reply of ", reply->task->name);
        fprintf(out, " lease %llu request %llu: %llu\n", U(reply->lease), U(reply->request),
                U(reply->samples));
    }
}

static void dump_onces(FILE *out, const struct partition *p) {
    const struct once *entry;
    if (!p->onces->n) return;
    TAILQ_FOREACH(entry, &p->onces->order, order) {
        dump_span(out, " once ", entry->holder);
        dump_span(out, " of ", entry->task->name);
        fprintf(out, " call %llu request %llx%llx lease %llu until %lld:", U(entry->number),
                U(entry->request.low), U(entry->request.high), U(entry->lease),
                (long long)entry->held_until_ms);
        for (size_t i = 0; i < entry->n; i++)
            if (partition_alive(p, entry->seqs[i])) fprintf(out, " %llu", U(entry->seqs[i]));
        fputc('\n', out);
    }
}

static void dump_partition(FILE *out, const struct partition *p) {
    dump_span(out, "partition ", p->name);
    fprintf(out, " samples %llu written %llu next %llu groups %zu of %u", U(p->samples),
            U(p->written), U(p->next_seq), p->groups->count, p->groups->size);
    if (p->has_expected) fprintf(out, " expected %llu", U(p->expected));
    fprintf(out, "%s\n", p->sealed ? " sealed" : "");
    dump_bounds(out, p->bounds);
    dump_columns(out, " field ", &p->fields);
    dump_columns(out, " tag ", &p->tags);
    for (size_t i = 0; i < p->n_tasks; i++) dump_task(out, p, p->tasks[i]);
    dump_ended(out, p->ended);
    dump_onces(out, p);
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        dump_sample(out, p, seq);
}

static int compare_partitions(const void *a, const void *b) {
    return span_compare((*(struct partition *const *)a)->name,
                        (*(struct partition *const *)b)->name);
}

/* By name: in which slot a partition sits depends on what was there before it. */
struct span kit_dump(const struct store *s) {
    char *text = NULL;
    size_t len = 0, n = 0;
    struct partition **partitions = calloc(store_partitions(s) + 1, sizeof(*partitions));
    FILE *out = open_memstream(&text, &len);
    EXPECT(out && partitions, "in the test's kit");
    uint64_t cursor = 0;
    for (struct partition *p; (p = store_next(s, &cursor));) partitions[n++] = p;
    qsort(partitions, n, sizeof(*partitions), compare_partitions);
    uint64_t last = store_leases(s)->last_id; /* which no lease to come may have */
    if (last) fprintf(out, "leases %zu, the last was %llu\n", store_leases(s)->count, U(last));
    for (size_t i = 0; i < n; i++) dump_partition(out, partitions[i]);
    free(partitions);
    fclose(out);
    return span_of(text, len);
}

void kit_dump_free(struct span dump) {
    free((void *)dump.ptr);
}

/* ---- two stores --------------------------------------------------------------------------- */

/* The line from the place where it differs on, of either. */
static int line_of(struct span dump, size_t differs, const char **line) {
    size_t from = differs, to = differs;
    while (from > 0 && dump.ptr[from - 1] != '\n') from--;
    while (to < dump.len && dump.ptr[to] != '\n' && to - from < 300) to++;
    *line = dump.ptr + from;
    return (int)(to - from);
}

bool kit_is_same(const struct store *a, const struct store *b,
                 char difference[static KIT_DIFFERENCE]) {
    struct span ours = kit_dump(a), theirs = kit_dump(b);
    const char *our_line, *their_line;
    size_t at = 0;
    bool is_same = span_equal(ours, theirs);
    while (!is_same && at < ours.len && at < theirs.len && ours.ptr[at] == theirs.ptr[at]) at++;
    int our_length = line_of(ours, at, &our_line), their_length = line_of(theirs, at, &their_line);
    snprintf(difference, KIT_DIFFERENCE, "%.*s\n%.*s", our_length, our_line, their_length,
             their_line);
    kit_dump_free(ours);
    kit_dump_free(theirs);
    return is_same;
}
