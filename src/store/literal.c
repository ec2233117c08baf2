/* See literal.h. The element is the only place that knows bases; brackets are the only place that knows shapes. */
#include "store/literal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/utf8.h"
#include "store/smallfloat.h"

/* ---- elements ----------------------------------------------------------------------------- */

static const struct smallfloat *element_smallfloat(enum dtype_base base) {
    switch (base) {
    case DTYPE_F16: return &SMALLFLOAT_F16;
    case DTYPE_BF16: return &SMALLFLOAT_BF16;
    case DTYPE_F8E4M3: return &SMALLFLOAT_E4M3;
    case DTYPE_F8E5M2: return &SMALLFLOAT_E5M2;
    default: return NULL;
    }
}

static bool element_is_signed(enum dtype_base base) {
    return base == DTYPE_I8 || base == DTYPE_I16 || base == DTYPE_I32 || base == DTYPE_I64;
}

static bool element_is_float(enum dtype_base base) {
    return base >= DTYPE_F8E4M3 && base <= DTYPE_F64;
}

static bool element_parse_integer(enum dtype_base base, struct span text, char *out) {
    size_t size = dtype_element_size(base), bits = size * 8;
    if (element_is_signed(base)) {
        int64_t value;
        if (!number_parse_i64(text, &value)) return false;
        if (bits < 64 && (value < -(INT64_C(1) << (bits - 1)) || value >= INT64_C(1) << (bits - 1)))
            return false;
        memcpy(out, &value, size); /* little-endian: the low bytes come first */
        return true;
    }
    uint64_t value;
    if (!number_parse_u64(text, &value) || (bits < 64 && value >> bits)) return false;
    memcpy(out, &value, size);
    return true;
}

static bool element_parse_float(enum dtype_base base, struct span text, char *out) {
    double value;
    if (!number_parse_double(text, true, &value)) return false;
    bool special = !isfinite(value);
    if (special && !isalpha((unsigned char)text.ptr[text.len - 1])) return false; /* not by name */
    const struct smallfloat *small = element_smallfloat(base);
    if (small) {
        uint16_t code;
        if (!smallfloat_encode(small, value, &code)) return false;
        memcpy(out, &code, dtype_element_size(base));
        return true;
    }
    if (base == DTYPE_F64) {
        memcpy(out, &value, sizeof(value));
        return true;
    }
    char copy[512]; /* bounded by number_parse_double; strtof, for rounding once */
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    float single = strtof(copy, NULL);
    if (!special && isinf(single)) return false;
    memcpy(out, &single, sizeof(single));
    return true;
}

static bool element_parse(enum dtype_base base, struct span text, char *out) {
    if (base == DTYPE_BOOL) {
        *out = span_is(text, "true") || span_is(text, "1");
        return *out || span_is(text, "false") || span_is(text, "0");
    }
    return element_is_float(base) ? element_parse_float(base, text, out)
                                  : element_parse_integer(base, text, out);
}

static double element_float(enum dtype_base base, const char *bytes) {
    const struct smallfloat *small = element_smallfloat(base);
    if (small) {
        uint16_t code = 0;
        memcpy(&code, bytes, dtype_element_size(base));
        return smallfloat_decode(small, code);
    }
    if (base == DTYPE_F64) {
        double value;
        memcpy(&value, bytes, sizeof(value));
        return value;
    }
    float value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* The shortest decimal that reads back as the same bytes. */
static int element_render_float(enum dtype_base base, const char *bytes, char *out, size_t room) {
    double value = element_float(base, bytes);
    if (isnan(value)) return snprintf(out, room, "nan");
    if (isinf(value)) return snprintf(out, room, value < 0 ? "-inf" : "inf");
    int n = 0;
    for (int digits = 1; digits <= 17; digits++) {
        char back[8];
        n = snprintf(out, room, "%.*g", digits, value);
        if (element_parse_float(base, span_of(out, (size_t)n), back) &&
            memcmp(back, bytes, dtype_element_size(base)) == 0)
            break;
    }
    return n;
}

static int element_render(enum dtype_base base, const char *bytes, char *out, size_t room) {
    if (base == DTYPE_BOOL) return snprintf(out, room, *bytes ? "true" : "false");
    if (element_is_float(base)) return element_render_float(base, bytes, out, room);
    size_t size = dtype_element_size(base);
    if (!element_is_signed(base)) {
        uint64_t value = 0;
        memcpy(&value, bytes, size);
        return snprintf(out, room, "%llu", (unsigned long long)value);
    }
    int64_t value = 0;
    memcpy(&value, bytes, size);
    unsigned unused = 64 - 8 * (unsigned)size; /* bring the sign up and back */
    return snprintf(out, room, "%lld", (long long)((int64_t)((uint64_t)value << unused) >> unused));
}

/* ---- parsing ------------------------------------------------------------------------------ */

struct literal_parser {
    struct span text;
    size_t at;
    const struct dtype *type;
    struct dtype item; /* sizes found so far; DTYPE_STAR: not known yet */
    char *out;
    size_t used;
    struct error *error;
};

static void literal_skip_space(struct literal_parser *p) {
    while (p->at < p->text.len && strchr(" \t\r\n", p->text.ptr[p->at]) && p->text.ptr[p->at])
        p->at++;
}

static bool literal_accept(struct literal_parser *p, char c) {
    literal_skip_space(p);
    if (p->at == p->text.len || p->text.ptr[p->at] != c) return false;
    p->at++;
    return true;
}

static int literal_fail(struct literal_parser *p, const char *expected) {
    size_t rest = p->text.len - p->at;
    return error_set(p->error, ERROR_SCHEMA, "expected %s of type %s at %s", expected,
                     DTYPE_NAME(p->type),
                     QUOTE(span_of(p->text.ptr + p->at, rest > 24 ? 24 : rest)));
}

/* True if the text is a well-formed number for the type, whatever its range. */
static bool literal_is_number(enum dtype_base base, struct span text) {
    double value;
    if (base == DTYPE_BOOL || !number_parse_double(text, true, &value)) return false;
    if (element_is_float(base)) return true;
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < '0' || text.ptr[i] > '9') && (i || text.ptr[i] != '-')) return false;
    return true;
}

static int literal_element(struct literal_parser *p) {
    literal_skip_space(p);
    size_t begin = p->at;
    while (p->at < p->text.len && !strchr(",] \t\r\n", p->text.ptr[p->at])) p->at++;
    struct span text = span_of(p->text.ptr + begin, p->at - begin);
    if (!element_parse(p->type->base, text, p->out + p->used)) {
        if (literal_is_number(p->type->base, text))
            return error_set(p->error, ERROR_SCHEMA, "%s is out of range of type %s", QUOTE(text),
                             DTYPE_NAME(p->type));
        p->at = begin;
        return literal_fail(p, "a value");
    }
    p->used += dtype_element_size(p->type->base);
    return 0;
}

/* What is between [ and ] at this depth. Depth is at most DTYPE_MAX_DIMS. */
static int literal_dimension(struct literal_parser *p, unsigned depth) {
    if (depth == p->type->dimensions) return literal_element(p);
    if (!literal_accept(p, '[')) return literal_fail(p, "[");
    uint32_t count = 0;
    if (!literal_accept(p, ']')) {
        do {
            int failed = literal_dimension(p, depth + 1);
            if (failed) return failed;
            count++;
        } while (literal_accept(p, ','));
        if (!literal_accept(p, ']')) return literal_fail(p, ", or ]");
    }
    uint32_t *size = &p->item.shape[depth];
    if (*size == DTYPE_STAR) *size = count;
    if (*size == count) return 0;
    return error_set(p->error, ERROR_SCHEMA,
                     "expected %u values in dimension %u of type %s, got %u", *size, depth + 1,
                     DTYPE_NAME(p->type), count);
}

/* No more elements than one more than there are commas. */
static size_t literal_elements_most(struct span text) {
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == ',';
    return n;
}

int literal_parse(struct span text, const struct dtype *type, struct scratch *scratch,
                  struct span *bytes, struct dtype *item, struct error *e) {
    if (dtype_is_variable(type)) {
        if (!dtype_bytes_valid(type->base, text))
            return error_set(e, ERROR_SCHEMA, "expected UTF-8, got %s", QUOTE(text));
        *bytes = text;
        *item = *type;
        return 0;
    }
    struct literal_parser p = {.text = text, .type = type, .item = *type, .error = e};
    p.out = scratch_alloc(scratch, literal_elements_most(text), dtype_element_size(type->base));
    int failed = literal_dimension(&p, 0);
    if (failed) return failed;
    literal_skip_space(&p);
    if (p.at != text.len) return literal_fail(&p, "the end of the value");
    for (unsigned i = 0; i < p.item.dimensions; i++)
        if (p.item.shape[i] == DTYPE_STAR) p.item.shape[i] = 0; /* inside an empty bracket */
    if (p.used > DTYPE_MAX_BYTES)
        return error_set(e, ERROR_SCHEMA, "a value has to be below 4 GiB");
    *bytes = span_of(p.out, p.used);
    *item = p.item;
    return 0;
}

/* ---- rendering ---------------------------------------------------------------------------- */

struct literal_writer {
    char *out;
    size_t used;
    bool cut;
    const char *at;
};

static void literal_write(struct literal_writer *w, struct span text) {
    if (w->cut) return;
    if (w->used + text.len > LITERAL_CUT) {
        w->cut = true;
        text = SPAN_LITERAL("…");
    }
    memcpy(w->out + w->used, text.ptr, text.len);
    w->used += text.len;
}

static void literal_write_dimension(struct literal_writer *w, const struct dtype *item,
                                    unsigned depth) {
    if (depth == item->dimensions) {
        char one[64];
        int n = element_render(item->base, w->at, one, sizeof(one));
        literal_write(w, span_of(one, (size_t)n));
        w->at += dtype_element_size(item->base);
        return;
    }
    literal_write(w, SPAN_LITERAL("["));
    for (uint32_t i = 0; i < item->shape[depth] && !w->cut; i++) {
        if (i) literal_write(w, SPAN_LITERAL(","));
        literal_write_dimension(w, item, depth + 1);
    }
    literal_write(w, SPAN_LITERAL("]"));
}

/* Text as it is; bytes that are no text with \xNN for what can't be shown. */
static void literal_write_bytes(struct literal_writer *w, struct span bytes) {
    while (bytes.len && !w->cut) {
        struct span look = span_of(bytes.ptr, bytes.len < LITERAL_CUT ? bytes.len : LITERAL_CUT);
        size_t good = utf8_valid_prefix(look);
        for (size_t i = 0, next; i < good && !w->cut; i = next) {
            for (next = i + 1; next < good && (look.ptr[next] & 0xc0) == 0x80;) next++;
            literal_write(w, span_of(look.ptr + i, next - i));
        }
        bytes = span_of(bytes.ptr + good, bytes.len - good);
        if (good == look.len || w->cut) continue;
        char hex[5];
        snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)bytes.ptr[0]);
        literal_write(w, span_of(hex, 4));
        bytes = span_of(bytes.ptr + 1, bytes.len - 1);
    }
}

struct span literal_render(const struct dtype *item, struct span bytes, struct scratch *scratch) {
    enum { ROOM = LITERAL_CUT + 8 };
    struct literal_writer w = {.at = bytes.ptr};
    w.out = scratch_alloc(scratch, 1, ROOM);
    if (dtype_is_variable(item))
        literal_write_bytes(&w, bytes);
    else
        literal_write_dimension(&w, item, 0);
    return span_of(w.out, w.used);
}
