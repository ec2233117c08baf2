/* See dtype.h. */
#include "store/dtype.h"

#include <stdio.h>

#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"

static const struct {
    const char *name;
    uint8_t size;
} dtype_bases[DTYPE_BASES] = {
    [DTYPE_BOOL] = {"bool", 1},     [DTYPE_U8] = {"u8", 1},         [DTYPE_I8] = {"i8", 1},
    [DTYPE_U16] = {"u16", 2},       [DTYPE_I16] = {"i16", 2},       [DTYPE_U32] = {"u32", 4},
    [DTYPE_I32] = {"i32", 4},       [DTYPE_U64] = {"u64", 8},       [DTYPE_I64] = {"i64", 8},
    [DTYPE_F8E4M3] = {"f8e4m3", 1}, [DTYPE_F8E5M2] = {"f8e5m2", 1}, [DTYPE_F16] = {"f16", 2},
    [DTYPE_BF16] = {"bf16", 2},     [DTYPE_F32] = {"f32", 4},       [DTYPE_F64] = {"f64", 8},
    [DTYPE_STR] = {"str", 1},       [DTYPE_BYTES] = {"bytes", 1},
};

size_t dtype_element_size(enum dtype_base base) {
    return dtype_bases[base].size;
}

/* "3,*,224]" into the shape. */
/* Returns the first size that is too large, as written in the text; empty if there is none. */
static struct span dtype_large_size(struct span shape) {
    size_t begin = 0;
    for (size_t at = 0; at < shape.len; at++) {
        if (shape.ptr[at] != ',' && shape.ptr[at] != ']') continue;
        struct span one = span_of(shape.ptr + begin, at - begin);
        size_t digits = 0;
        while (digits < one.len && one.ptr[digits] >= '0' && one.ptr[digits] <= '9') digits++;
        uint64_t size;
        if (digits && digits == one.len && (!number_parse_u64(one, &size) || size >= DTYPE_STAR))
            return one;
        begin = at + 1;
    }
    return (struct span){0};
}

static bool dtype_parse_shape(struct span text, struct dtype *out) {
    if (text.len == 0 || text.ptr[text.len - 1] != ']') return false;
    size_t begin = 0;
    for (size_t at = 0; at < text.len; at++) {
        if (text.ptr[at] != ',' && at != text.len - 1) continue;
        struct span one = span_of(text.ptr + begin, at - begin);
        uint64_t size = DTYPE_STAR;
        if (!span_is(one, "*") && (!number_parse_u64(one, &size) || size >= DTYPE_STAR))
            return false;
        if (out->dimensions == DTYPE_MAX_DIMS) return false;
        out->shape[out->dimensions++] = (uint32_t)size;
        begin = at + 1;
    }
    return true;
}

/* What numpy, torch and others call the types. */
static const char *const dtype_foreign[DTYPE_BASES] = {
    [DTYPE_BOOL] = "bool_ boolean |b1",
    [DTYPE_U8] = "uint8 byte u1 |u1",
    [DTYPE_I8] = "int8 i1 |i1",
    [DTYPE_U16] = "uint16 u2 <u2",
    [DTYPE_I16] = "int16 short i2 <i2",
    [DTYPE_U32] = "uint32 uint u4 <u4",
    [DTYPE_I32] = "int32 int i4 <i4",
    [DTYPE_U64] = "uint64 <u8",
    [DTYPE_I64] = "int64 long <i8",
    [DTYPE_F8E4M3] = "float8_e4m3fn float8_e4m3 f8_e4m3 float8 fp8",
    [DTYPE_F8E5M2] = "float8_e5m2 f8_e5m2",
    [DTYPE_F16] = "float16 half fp16 f2 <f2",
    [DTYPE_BF16] = "bfloat16",
    [DTYPE_F32] = "float32 float single fp32 f4 <f4",
    [DTYPE_F64] = "float64 double fp64 f8 <f8",
    [DTYPE_STR] = "string text utf8 utf-8",
    [DTYPE_BYTES] = "binary blob object",
};

static bool dtype_list_has(const char *list, struct span word) {
    for (size_t len; *list; list += len + (list[len] == ' ')) {
        len = strcspn(list, " ");
        if (len == word.len && !strncasecmp(list, word.ptr, len)) return true;
    }
    return false;
}

/* Name the type that is meant, by another name (torch.float32, <f4) or misspelt, or else all. */
static int dtype_unknown(struct span text, struct span word, struct error *e) {
    static const char *const prefixes[] = {"torch.", "numpy.", "np."};
    char all[128];
    size_t len = 0;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t n = strlen(prefixes[i]);
        if (word.len > n && !memcmp(word.ptr, prefixes[i], n))
            word = span_of(word.ptr + n, word.len - n);
    }
    struct nearest nearest = nearest_to(word);
    for (unsigned i = 0; i < DTYPE_BASES; i++) {
        const char *name = dtype_bases[i].name;
        len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? " " : "", name);
        if (dtype_list_has(dtype_foreign[i], word))
            nearest = (struct nearest){.name = span_of_string(name)};
        nearest_try(&nearest, span_of_string(name));
    }
    if (nearest.name.ptr)
        return error_set(e, ERROR_ERR, "unknown type %s%s", QUOTE(text),
                         NEAREST_HINT(&nearest, ""));
    return error_set(e, ERROR_ERR, "unknown type %s, expected one of %s", QUOTE(text), all);
}

int dtype_parse(struct span text, struct dtype *out, struct error *e) {
    size_t name = 0;
    while (name < text.len && text.ptr[name] != '[' && text.ptr[name] != '(') name++;
    struct dtype type = {.base = DTYPE_BASES};
    for (unsigned base = 0; base < DTYPE_BASES; base++)
        if (span_equal(span_of(text.ptr, name), span_of_string(dtype_bases[base].name)))
            type.base = (uint8_t)base;
    if (type.base == DTYPE_BASES) return dtype_unknown(text, span_of(text.ptr, name), e);
    if (name < text.len) {
        struct span shape = span_of(text.ptr + name + 1, text.len - name - 1);
        struct span large = dtype_large_size(shape);
        if (large.len && !dtype_is_variable(&type))
            return error_set(e, ERROR_ERR, "type %s: size %s is too large, sizes end at %u",
                             QUOTE(text), QUOTE(large), DTYPE_STAR - 1);
        if (dtype_is_variable(&type) || text.ptr[name] != '[' || !dtype_parse_shape(shape, &type))
            return error_set(e, ERROR_ERR,
                             "type %s: expected up to %d sizes or * in brackets, as in f32[3,*], "
                             "and none for str and bytes",
                             QUOTE(text), DTYPE_MAX_DIMS);
    }
    if (dtype_fixed_bytes(&type) > DTYPE_MAX_BYTES)
        return error_set(e, ERROR_ERR, "type %s: an item has to be below 4 GiB", QUOTE(text));
    *out = type;
    return 0;
}

bool dtype_is_valid(const struct dtype *t) {
    if (t->base >= DTYPE_BASES || t->dimensions > DTYPE_MAX_DIMS) return false;
    if (dtype_is_variable(t) && t->dimensions) return false;
    return dtype_fixed_bytes(t) <= DTYPE_MAX_BYTES;
}

/* Sizes are one more than they are; 0 is a `*`. */
void dtype_pack(struct pack *p, const struct dtype *t) {
    pack_u8(p, t->base);
    pack_u8(p, t->dimensions);
    for (unsigned i = 0; i < t->dimensions; i++) pack_varint(p, (uint32_t)(t->shape[i] + 1));
}

int dtype_unpack(struct unpack *u, struct dtype *out, struct error *e) {
    *out = (struct dtype){.base = unpack_u8(u)};
    uint8_t dimensions = unpack_u8(u);
    for (; out->dimensions < dimensions && out->dimensions < DTYPE_MAX_DIMS; out->dimensions++) {
        uint64_t size = unpack_varint(u);
        if (size > UINT32_MAX) unpack_fail(u);
        out->shape[out->dimensions] = (uint32_t)size - 1;
    }
    if (!u->bad && out->dimensions == dimensions && dtype_is_valid(out)) return 0;
    unpack_fail(u);
    return error_set(e, ERROR_ERR, "no type: base %u with %u dimensions, or its sizes", out->base,
                     dimensions);
}

const char *dtype_format(const struct dtype *t, char out[static DTYPE_TEXT_MAX]) {
    int at = snprintf(out, DTYPE_TEXT_MAX, "%s", dtype_bases[t->base].name);
    for (unsigned i = 0; i < t->dimensions; i++) {
        char before = i ? ',' : '[';
        if (t->shape[i] == DTYPE_STAR)
            at += snprintf(out + at, DTYPE_TEXT_MAX - (size_t)at, "%c*", before);
        else
            at += snprintf(out + at, DTYPE_TEXT_MAX - (size_t)at, "%c%u", before, t->shape[i]);
    }
    if (t->dimensions) snprintf(out + at, DTYPE_TEXT_MAX - (size_t)at, "]");
    return out;
}

unsigned dtype_stars(const struct dtype *t) {
    unsigned stars = 0;
    for (unsigned i = 0; i < t->dimensions; i++) stars += t->shape[i] == DTYPE_STAR;
    return stars;
}

/* Saturates above DTYPE_MAX_BYTES; a size of 0 anywhere makes the item empty whatever else. */
uint64_t dtype_fixed_bytes(const struct dtype *t) {
    uint64_t bytes = dtype_element_size(t->base);
    bool too_large = false;
    for (unsigned i = 0; i < t->dimensions; i++) {
        if (t->shape[i] == DTYPE_STAR) continue;
        if (t->shape[i] == 0) return 0;
        bytes *= t->shape[i];
        if (bytes > DTYPE_MAX_BYTES) {
            too_large = true;
            bytes = 1;
        }
    }
    return too_large ? (uint64_t)DTYPE_MAX_BYTES + 1 : bytes;
}

bool dtype_shape_implied(const struct dtype *t) {
    unsigned stars = dtype_stars(t);
    return stars == 0 || (stars == 1 && dtype_fixed_bytes(t) > 0);
}

bool dtype_equal(const struct dtype *a, const struct dtype *b) {
    return a->base == b->base && a->dimensions == b->dimensions &&
           memcmp(a->shape, b->shape, a->dimensions * sizeof(a->shape[0])) == 0;
}

bool dtype_of_length(const struct dtype *t, uint64_t len, struct dtype *item) {
    if (len > DTYPE_MAX_BYTES) return false;
    *item = *t;
    if (dtype_is_variable(t)) return true;
    uint64_t fixed = dtype_fixed_bytes(t);
    unsigned stars = dtype_stars(t);
    if (stars == 0) return len == fixed;
    if (stars > 1 || fixed == 0 || len % fixed || len / fixed >= DTYPE_STAR) return false;
    for (unsigned i = 0; i < t->dimensions; i++)
        if (t->shape[i] == DTYPE_STAR) item->shape[i] = (uint32_t)(len / fixed);
    return true;
}

bool dtype_of_sizes(const struct dtype *t, const uint32_t *sizes, struct dtype *item) {
    *item = *t;
    for (unsigned i = 0; i < t->dimensions; i++) {
        if (t->shape[i] != DTYPE_STAR) continue;
        if (*sizes == DTYPE_STAR) return false;
        item->shape[i] = *sizes++;
    }
    return dtype_fixed_bytes(item) <= DTYPE_MAX_BYTES;
}

bool dtype_widen(const struct dtype *field, const struct dtype *item, struct dtype *out) {
    if (field->base != item->base || field->dimensions != item->dimensions) return false;
    struct dtype wide = *field;
    for (unsigned i = 0; i < wide.dimensions; i++)
        if (wide.shape[i] != item->shape[i]) wide.shape[i] = DTYPE_STAR;
    *out = wide;
    return true;
}

bool dtype_bytes_valid(enum dtype_base base, struct span bytes) {
    if (base == DTYPE_STR) return utf8_is_valid(bytes);
    if (base != DTYPE_BOOL) return true;
    unsigned char bits = 0;
    for (size_t i = 0; i < bytes.len; i++) bits |= (unsigned char)bytes.ptr[i];
    return bits <= 1;
}
