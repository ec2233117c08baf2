/* See batch.h. */
#include "benchmark/batch.h"

#include <stdio.h>

#include "base/mem.h"

const char *batch_mix_name(enum batch_mix mix) {
    static const char *const names[BATCH_MIXES] = {"dense", "ragged", "str", "bytes", "complex"};
    return names[mix];
}

void batch_format_key(uint64_t number, char *out) {
    out[0] = 's';
    for (size_t i = BATCH_KEY_LEN - 1; i > 0; i--, number /= 10) out[i] = (char)('0' + number % 10);
}

size_t batch_bytes(size_t samples, size_t fields, size_t value_bytes) {
    return samples * fields * value_bytes;
}

void batch_number_keys(struct batch *b, uint64_t first) {
    for (size_t i = 0; i < b->samples; i++)
        batch_format_key(first + i, b->keys + i * BATCH_KEY_LEN);
}

static enum batch_kind kind_of(enum batch_mix mix, size_t field) {
    switch (mix) {
    case BATCH_MIX_RAGGED: return BATCH_RAGGED;
    case BATCH_MIX_STR: return BATCH_STR;
    case BATCH_MIX_BYTES: return BATCH_BYTES;
    case BATCH_MIX_COMPLEX: return (enum batch_kind)(field % 3);
    default: return BATCH_DENSE;
    }
}

/* 1…longest, evenly over the samples and in no order. */
static size_t varied_length(size_t sample, size_t samples, size_t longest) {
    if (samples == 1) return longest;
    size_t place = sample * 7919 % samples; /* a prime above which no default batch size goes */
    return 1 + place * (longest - 1) / (samples - 1);
}

static size_t items_of(const struct batch *b, const struct batch_field *f, size_t sample,
                       size_t longest) {
    bool varies = f->kind == BATCH_RAGGED || f->kind == BATCH_BYTES;
    return varies ? varied_length(sample, b->samples, longest) : longest;
}

static void field_name_types(struct batch_field *f, size_t item, size_t longest, bool varies) {
    const char *dtype = item == 4 ? "f32" : "u8";
    switch (f->kind) {
    case BATCH_STR:
    case BATCH_BYTES:
        snprintf(f->type, sizeof(f->type), "%s", f->kind == BATCH_STR ? "str" : "bytes");
        memcpy(f->read_type, f->type, sizeof(f->type));
        return;
    case BATCH_RAGGED: snprintf(f->type, sizeof(f->type), "%s[*]", dtype); break;
    case BATCH_DENSE: snprintf(f->type, sizeof(f->type), "%s[%zu]", dtype, longest); break;
    }
    if (varies)
        memcpy(f->read_type, f->type, sizeof(f->type));
    else
        snprintf(f->read_type, sizeof(f->read_type), "%s[%zu]", dtype, longest);
}

static void field_lay_out(struct batch *b, size_t index, char *payload) {
    struct batch_field *f = &b->fields[index];
    f->kind = kind_of(b->mix, index);
    bool numbers = f->kind == BATCH_DENSE || f->kind == BATCH_RAGGED;
    size_t item = numbers && b->value_bytes % 4 == 0 ? 4 : 1;
    size_t longest = b->value_bytes / item, at = 0;
    bool varies = false;
    snprintf(f->name, sizeof(f->name), "f%zu", index);
    f->payload = payload;
    f->offsets = mem_alloc((b->samples + 1) * sizeof(*f->offsets));
    if (f->kind != BATCH_DENSE) f->shape = mem_alloc(b->samples * sizeof(*f->shape));
    for (size_t i = 0; i < b->samples; i++) {
        size_t items = items_of(b, f, i, longest);
        if (items != longest) varies = true;
        if (f->shape) f->shape[i] = (uint32_t)items;
        f->offsets[i] = at;
        at += items * item;
    }
    f->offsets[b->samples] = at;
    field_name_types(f, item, longest, varies);
}

/* xorshift64*: quick, and no two stretches of a batch look alike. */
static void field_fill(const struct batch_field *f, size_t bytes, uint64_t state) {
    for (size_t i = 0; i < bytes; i += 8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        uint64_t word = state * UINT64_C(2685821657736338717);
        if (f->kind == BATCH_STR) word = (word & 0x0f0f0f0f0f0f0f0f) | 0x4040404040404040;
        memcpy(f->payload + i, &word, bytes - i < 8 ? bytes - i : 8);
    }
}

int batch_make(struct batch *b, size_t samples, size_t fields, size_t value_bytes,
               enum batch_mix mix, struct error *e) {
    *b = (struct batch){
        .samples = samples, .n_fields = fields, .value_bytes = value_bytes, .mix = mix};
    int failed = memory_map(&b->memory, batch_bytes(samples, fields, value_bytes), true, e);
    if (failed) return failed;
    b->key_sizes = mem_alloc(samples * sizeof(*b->key_sizes));
    b->keys = mem_alloc(samples * BATCH_KEY_LEN);
    for (size_t i = 0; i < samples; i++) b->key_sizes[i] = BATCH_KEY_LEN;
    batch_number_keys(b, 0);
    b->fields = mem_calloc(fields, sizeof(*b->fields));
    char *payload = b->memory.bytes;
    for (size_t i = 0; i < fields; i++) {
        field_lay_out(b, i, payload);
        size_t bytes = batch_column_bytes(b, i);
        field_fill(&b->fields[i], bytes, UINT64_C(0x9e3779b97f4a7c15) * (i + 1));
        payload += bytes;
        b->payload_bytes += bytes;
    }
    return 0;
}

void batch_free(struct batch *b) {
    for (size_t i = 0; i < b->n_fields && b->fields; i++) {
        mem_free(b->fields[i].shape);
        mem_free(b->fields[i].offsets);
    }
    mem_free(b->fields);
    mem_free(b->keys);
    mem_free(b->key_sizes);
    memory_unmap(&b->memory);
    *b = (struct batch){0};
}
