/* Types and literals of the model. */
#include "model.h"

#include <stdlib.h>

static const unsigned element_bytes[DTYPE_BASES] = {
    [DTYPE_BOOL] = 1,   [DTYPE_U8] = 1,   [DTYPE_I8] = 1,   [DTYPE_U16] = 2, [DTYPE_I16] = 2,
    [DTYPE_U32] = 4,    [DTYPE_I32] = 4,  [DTYPE_U64] = 8,  [DTYPE_I64] = 8, [DTYPE_F8E4M3] = 1,
    [DTYPE_F8E5M2] = 1, [DTYPE_F16] = 2,  [DTYPE_BF16] = 2, [DTYPE_F32] = 4, [DTYPE_F64] = 8,
    [DTYPE_STR] = 1,    [DTYPE_BYTES] = 1};

static bool is_text(unsigned base) {
    return base == DTYPE_STR || base == DTYPE_BYTES;
}

/* Of an item without `*`; shapes here are small, but a hostile one may be huge. */
uint64_t model_item_bytes(const struct dtype *item) {
    long double bytes = element_bytes[item->base];
    for (unsigned i = 0; i < item->dimensions; i++) bytes *= item->shape[i];
    return bytes > UINT32_MAX ? UINT64_MAX : (uint64_t)bytes;
}

/* By decoding every character, the plain way. */
bool model_is_utf8(struct span text) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < text.len;) {
        unsigned char lead = (unsigned char)text.ptr[i++];
        unsigned more = lead < 0x80       ? 0
                        : lead >> 5 == 6  ? 1
                        : lead >> 4 == 14 ? 2
                        : lead >> 3 == 30 ? 3
                                          : 4;
        if (more == 4 || text.len - i < more) return false;
        uint32_t code = more ? lead & (0x3fu >> more) : lead;
        for (unsigned k = 0; k < more; k++) {
            unsigned char c = (unsigned char)text.ptr[i++];
            if (c >> 6 != 2) return false;
            code = code << 6 | (c & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

bool model_bytes_fit(unsigned base, struct span bytes) {
    if (base == DTYPE_STR) return model_is_utf8(bytes);
    for (size_t i = 0; base == DTYPE_BOOL && i < bytes.len; i++)
        if (bytes.ptr[i] != 0 && bytes.ptr[i] != 1) return false;
    return true;
}

bool model_item_of_length(const struct dtype *type, size_t len, struct dtype *item) {
    *item = *type;
    if (is_text(type->base)) return true;
    unsigned stars = 0, star = 0;
    uint64_t each = element_bytes[type->base];
    for (unsigned i = 0; i < type->dimensions; i++) {
        if (type->shape[i] == DTYPE_STAR)
            stars++, star = i;
        else
            each *= type->shape[i];
    }
    if (stars == 0) return len == each;
    if (stars > 1 || each == 0 || len % each != 0) return false;
    item->shape[star] = (uint32_t)(len / each);
    return true;
}

bool model_widen(const struct dtype *type, const struct dtype *item, struct dtype *out) {
    if (type->base != item->base || type->dimensions != item->dimensions) return false;
    struct dtype wide = *type;
    for (unsigned i = 0; i < type->dimensions; i++)
        if (type->shape[i] != item->shape[i]) wide.shape[i] = DTYPE_STAR;
    *out = wide;
    return true;
}

/* ---- literals ----------------------------------------------------------------------------- */

struct reader {
    const char *at, *end;
    struct dtype item;
    char *out;
    size_t used;
};

/* The codes of the floats that trials write. */
static bool pack_float(unsigned base, long long value, char *out) {
    static const struct {
        long long value;
        uint16_t e4m3, e5m2, f16, bf16;
    } known[] = {{0, 0, 0, 0, 0},
                 {1, 0x38, 0x3c, 0x3c00, 0x3f80},
                 {2, 0x40, 0x40, 0x4000, 0x4000},
                 {-1, 0xb8, 0xbc, 0xbc00, 0xbf80},
                 {256, 0x78, 0x5c, 0x5c00, 0x4380}};
    double d = (double)value;
    float f = (float)value;
    if (base == DTYPE_F64) return memcpy(out, &d, sizeof(d));
    if (base == DTYPE_F32) return memcpy(out, &f, sizeof(f));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].value != value) continue;
        uint16_t code = base == DTYPE_F8E4M3   ? known[i].e4m3
                        : base == DTYPE_F8E5M2 ? known[i].e5m2
                        : base == DTYPE_F16    ? known[i].f16
                                               : known[i].bf16;
        return memcpy(out, &code, element_bytes[base]);
    }
    return false;
}

static bool pack(unsigned base, long long value, char *out) {
    switch (base) {
    case DTYPE_BOOL:
    case DTYPE_U8:
    case DTYPE_I8:
        if (base == DTYPE_BOOL && (value < 0 || value > 1)) return false;
        if (base == DTYPE_U8 && (value < 0 || value > 255)) return false;
        if (base == DTYPE_I8 && (value < -128 || value > 127)) return false;
        *out = (char)value;
        return true;
    case DTYPE_U16:
    case DTYPE_U32:
    case DTYPE_U64:
        if (value < 0) return false;
        break;
    case DTYPE_I16:
    case DTYPE_I32:
    case DTYPE_I64: break;
    default: return pack_float(base, value, out);
    }
    memcpy(out, &value, element_bytes[base]);
    return true;
}

static bool read_dimension(struct reader *r, unsigned depth) {
    if (depth == r->item.dimensions) {
        char *end;
        if (r->at == r->end || !strchr("-0123456789", *r->at)) return false;
        long long value = strtoll(r->at, &end, 10);
        r->at = end;
        if (!pack(r->item.base, value, r->out + r->used)) return false;
        r->used += element_bytes[r->item.base];
        return true;
    }
    uint32_t count = 0;
    if (r->at == r->end || *r->at++ != '[') return false;
    while (r->at < r->end && *r->at != ']') {
        if (count && *r->at++ != ',') return false;
        if (!read_dimension(r, depth + 1)) return false;
        count++;
    }
    if (r->at++ == r->end) return false;
    if (r->item.shape[depth] == DTYPE_STAR) r->item.shape[depth] = count;
    return r->item.shape[depth] == count;
}

bool model_read_literal(struct span text, const struct dtype *type, struct scratch *scratch,
                        struct span *bytes, struct dtype *item) {
    *item = *type;
    *bytes = text;
    if (is_text(type->base)) return model_bytes_fit(type->base, text);
    char *copy = scratch_zalloc(scratch, text.len + 1, 1);
    memcpy(copy, text.ptr, text.len);
    struct reader r = {.at = copy, .end = copy + text.len, .item = *type};
    r.out = scratch_alloc(scratch, text.len + 1, 8);
    if (!read_dimension(&r, 0) || r.at != r.end) return false;
    for (unsigned i = 0; i < r.item.dimensions; i++)
        if (r.item.shape[i] == DTYPE_STAR) r.item.shape[i] = 0;
    *bytes = span_of(r.out, r.used);
    *item = r.item;
    return true;
}
