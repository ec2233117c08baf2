/* See ended.h. */
#include "store/ended.h"

#include <string.h>

#include "base/checksum.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/scratch.h"

/* What a reply is found by: no padding, so that its bytes can be hashed. */
struct ended_id {
    uint64_t lease, request, task;
};

static struct ended_id ended_id_of(const struct ended_reply *reply) {
    return (struct ended_id){reply->lease, reply->request, (uintptr_t)reply->task};
}

static struct span ended_id_span(const struct ended_id *id) {
    return span_of(id, sizeof(*id));
}

static uint64_t ended_hash(const struct ended_reply *reply) {
    struct ended_id id = ended_id_of(reply);
    return hash_bytes(ended_id_span(&id));
}

static bool ended_is(const void *context, uint32_t at, struct span wanted) {
    struct ended_id id = ended_id_of(&((const struct ended *)context)->ring[at]);
    return span_equal(ended_id_span(&id), wanted);
}

uint64_t ended_keys(const struct span *keys, size_t n, struct scratch *scratch) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++) len += sizeof(uint64_t) + keys[i].len;
    char *bytes = scratch_alloc(scratch, 1, len), *at = bytes;
    for (size_t i = 0; i < n; i++) {
        uint64_t key_len = keys[i].len;
        memcpy(at, &key_len, sizeof(key_len));
        at += sizeof(key_len);
        if (key_len) memcpy(at, keys[i].ptr, key_len);
        at += key_len;
    }
    uint64_t sum = checksum64(span_of(bytes, len));
    return sum < ENDED_KEYS_MIN ? ENDED_KEYS_MIN : sum;
}

const struct ended_reply *ended_find(const struct ended *ended, const struct task *task,
                                     uint64_t lease, uint64_t request) {
    struct ended_id id = {lease, request, (uintptr_t)task};
    struct span name = ended_id_span(&id);
    uint32_t at = keyindex_find(&ended->index, hash_bytes(name), name, ended_is, ended);
    return at == KEYINDEX_NONE ? NULL : &ended->ring[at];
}

static size_t ended_place(const struct ended *ended, size_t i) {
    return (ended->first + i) % ENDED_MAX; /* first is 0 until the ring is full */
}

const struct ended_reply *ended_at(const struct ended *ended, size_t i) {
    return &ended->ring[ended_place(ended, i)];
}

size_t ended_bytes(const struct ended *ended) {
    size_t own = ended == &ended_none ? 0 : sizeof(*ended);
    return own + ended->capacity * sizeof(*ended->ring) + ended->index.bytes;
}

void ended_add(struct ended *ended, const struct ended_reply *reply) {
    if (ended->n == ENDED_MAX) {
        keyindex_remove(&ended->index, ended_hash(&ended->ring[ended->first]),
                        (uint32_t)ended->first);
        ended->first = ended_place(ended, 1);
        ended->n--;
    }
    size_t at = ended_place(ended, ended->n++);
    if (at >= ended->capacity)
        ended->ring = mem_grow(ended->ring, &ended->capacity, at + 1, sizeof(*ended->ring));
    ended->ring[at] = *reply;
    keyindex_add(&ended->index, ended_hash(reply), (uint32_t)at);
}

void ended_drop_task(struct ended *ended, const struct task *task) {
    struct ended kept = {0};
    size_t others = 0;
    while (others < ended->n && ended_at(ended, others)->task != task) others++;
    if (others == ended->n) return;
    for (size_t i = 0; i < ended->n; i++)
        if (ended_at(ended, i)->task != task) ended_add(&kept, ended_at(ended, i));
    ended_free(ended);
    *ended = kept;
}

void ended_free(struct ended *ended) {
    mem_free(ended->ring);
    keyindex_free(&ended->index);
    *ended = (struct ended){0};
}

const struct ended ended_none;

struct ended *ended_own(const struct ended **ended) {
    if (*ended == &ended_none) *ended = mem_calloc(1, sizeof(**ended));
    return (struct ended *)*ended;
}

void ended_drop(const struct ended **ended) {
    if (*ended == &ended_none) return;
    ended_free((struct ended *)*ended);
    mem_free((struct ended *)*ended);
    *ended = &ended_none;
}
