/* Leases of the model: an entry each, and on each sample who holds it. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fail.h"

/* The place of a task's lease, n_leases where there is none. */
static size_t find_lease(const struct model_partition *p, struct span task, struct span id) {
    char text[32];
    size_t t = model_task(p, task), i = 0;
    for (; i < p->n_leases; i++) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)p->leases[i].id);
        if (p->leases[i].task == t && span_equal(id, span_of_string(text))) break;
    }
    return i;
}

static unsigned check_lease(const struct model_partition *p, const struct lease_request *request,
                            size_t *at) {
    if (!p) return MODEL_ERROR(ERROR_NOPART);
    *at = find_lease(p, request->task, request->id);
    return *at < p->n_leases ? 0 : MODEL_ERROR(ERROR_NOLEASE);
}

static size_t count(const struct model_partition *p, const struct model_lease *lease) {
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->samples[i]->lease[lease->task] == lease->id;
    return n;
}

/* ---- replies that are remembered ---------------------------------------------------------- */

/* Each key behind its length; ptr NULL without keys. */
static struct span join_keys(const struct lease_request *request) {
    char *text = NULL;
    size_t len = 0;
    if (!request->keys) return span_of(NULL, 0);
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; i < request->n_keys; i++) {
        fprintf(out, "%zu:", request->keys[i].len);
        fwrite(request->keys[i].ptr, 1, request->keys[i].len, out);
    }
    fclose(out);
    struct span keys = model_own(span_of(text, len));
    free(text);
    return keys;
}

bool model_answered(struct model *m, const struct lease_request *request, bool is_nack,
                    size_t *samples) {
    const struct model_partition *p = model_find(m, request->partition);
    struct span keys = join_keys(request);
    bool found = false;
    for (size_t i = 0; p && !found && i < p->n_replies; i++) {
        const struct model_reply *reply = &p->replies[i];
        char text[32];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)reply->lease);
        found = span_equal(request->id, span_of_string(text)) && reply->is_nack == is_nack &&
                span_equal(p->tasks[reply->task], request->task) && !reply->keys.ptr == !keys.ptr &&
                span_equal(reply->keys, keys);
        if (found) *samples = reply->samples;
    }
    model_let_go(&keys);
    return found;
}

static void remember(struct model_partition *p, const struct model_lease *lease, bool is_nack,
                     const struct lease_request *request, size_t samples) {
    p->replies = mem_grow(p->replies, &p->replies_capacity, p->n_replies + 1, sizeof(*p->replies));
    p->replies[p->n_replies++] =
        (struct model_reply){lease->id, lease->task, is_nack, join_keys(request), samples};
}

void model_drop_reply(struct model_partition *p, size_t at) {
    model_let_go(&p->replies[at].keys);
    p->replies[at] = p->replies[--p->n_replies];
}

/* ---- commands ----------------------------------------------------------------------------- */

unsigned model_ack(struct model *m, const struct lease_request *request, size_t *changed) {
    struct model_partition *p = model_find(m, request->partition);
    size_t at;
    unsigned errors = check_lease(p, request, &at);
    if (errors) return errors;
    const struct model_lease *lease = &p->leases[at];
    *changed = count(p, lease);
    for (size_t i = 0; i < p->n; i++)
        if (p->samples[i]->lease[lease->task] == lease->id)
            p->samples[i]->consumed[lease->task] = true;
    remember(p, lease, false, request, *changed);
    model_end_lease(p, at);
    return 0;
}

unsigned model_nack(struct model *m, const struct lease_request *request, size_t *changed) {
    struct model_partition *p = model_find(m, request->partition);
    size_t at;
    unsigned errors = check_lease(p, request, &at);
    if (errors) return errors;
    const struct model_lease *lease = &p->leases[at];
    *changed = count(p, lease);
    for (size_t i = 0; i < request->n_keys; i++) {
        struct model_sample *sample = model_sample(p, request->keys[i]);
        if (sample && sample->lease[lease->task] == lease->id) sample->lease[lease->task] = 0;
    }
    size_t left = request->keys ? count(p, lease) : 0;
    *changed -= left;
    remember(p, lease, true, request, *changed);
    if (left == 0) model_end_lease(p, at);
    return 0;
}

unsigned model_extend(struct model *m, const struct lease_request *request, int64_t ends_ms,
                      size_t *changed) {
    struct model_partition *p = model_find(m, request->partition);
    size_t at;
    unsigned errors = check_lease(p, request, &at);
    if (errors) return errors;
    p->leases[at].ends_ms = ends_ms;
    *changed = count(p, &p->leases[at]);
    return 0;
}

int64_t model_next_end(const struct model *m) {
    int64_t first = LEASE_NEVER;
    for (size_t i = 0; i < MODEL_PARTITIONS; i++)
        for (size_t l = 0; l < m->partitions[i].n_leases; l++)
            if (m->partitions[i].leases[l].ends_ms < first)
                first = m->partitions[i].leases[l].ends_ms;
    return first;
}

size_t model_expire(struct model *m, struct span partition, struct span task, uint64_t id) {
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    struct model_partition *p = model_find(m, partition);
    size_t at = p ? find_lease(p, task, span_of_string(text)) : 0;
    EXPECT(p && at < p->n_leases && p->leases[at].ends_ms == model_next_end(m), "lease %s", text);
    size_t n = count(p, &p->leases[at]);
    model_end_lease(p, at);
    return n;
}
