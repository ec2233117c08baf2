/* Requests out of decisions. Most are sensible, so that walks get somewhere; every kind of nonsense comes up too. */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

bool trial_rarely(struct trial *t) {
    return source_once_in(&t->source, 80);
}

static uint64_t below(struct trial *t, uint64_t n) {
    return source_below(&t->source, n);
}

static struct span text_of(struct trial *t, const char *format, unsigned number) {
    char *text = scratch_alloc(&t->scratch, 32, 1);
    return span_of(text, (size_t)snprintf(text, 32, format, number));
}

static struct span filled(struct trial *t, size_t len, char with) {
    return span_of(memset(scratch_alloc(&t->scratch, len + 1, 1), with, len), len);
}

/* ---- names -------------------------------------------------------------------------------- */

struct span trial_draw_partition(struct trial *t) {
    return text_of(t, "part@%u", (unsigned)below(t, t->shape.partitions));
}

/* Keys of all lengths, any bytes. */
struct span trial_draw_key(struct trial *t) {
    unsigned number = (unsigned)below(t, t->shape.keys);
    struct span key = text_of(t, number % 3 ? "k%u" : "key-%08u", number);
    if (number % 16 != 7) return key;
    struct span longer = filled(t, number % 32 == 7 ? 1024 : 100, '\0');
    memcpy((char *)longer.ptr, key.ptr, key.len);
    return longer;
}

static struct span draw_bad_key(struct trial *t) {
    return filled(t, below(t, 2) ? 1025 : 0, 'x');
}

static struct span draw_bad_word(struct trial *t) {
    static const char *const bad[] = {"", "@key", "a b", "a:b", "\xc3\xbc", "a\n"};
    if (below(t, 8) == 0) return filled(t, 256, 'x');
    return span_of_string(bad[below(t, sizeof(bad) / sizeof(bad[0]))]);
}

static struct span draw_word(struct trial *t, const char *format, unsigned n) {
    return trial_rarely(t) ? draw_bad_word(t) : text_of(t, format, (unsigned)below(t, n));
}

struct span trial_draw_field(struct trial *t) {
    return text_of(t, "field_%u", (unsigned)below(t, MODEL_COLUMNS - 1));
}

struct span trial_draw_tag(struct trial *t) {
    return text_of(t, "tag.%u", (unsigned)below(t, 3));
}

struct span trial_draw_task(struct trial *t) {
    return text_of(t, "task/%u", (unsigned)below(t, MODEL_TASKS - 1));
}

static struct span draw_tag_value(struct trial *t) {
    static const char *const values[] = {"",
                                         "0",
                                         "1",
                                         "2",
                                         "10",
                                         "-3",
                                         "1.5",
                                         "2.0",
                                         "1e1",
                                         "007",
                                         "abc",
                                         "abd",
                                         "a",
                                         "9223372036854775807",
                                         "9223372036854775806",
                                         "18446744073709551615",
                                         "-9223372036854775808"};
    if (trial_rarely(t)) return filled(t, below(t, 2) ? 4096 : 4097, 'v');
    return span_of_string(values[below(t, sizeof(values) / sizeof(values[0]))]);
}

struct where trial_draw_where(struct trial *t, uint64_t most) {
    struct where where = {.n = below(t, most + 1)};
    struct where_condition *conditions = scratch_alloc(&t->scratch, where.n, sizeof(*conditions));
    for (size_t i = 0; i < where.n; i++)
        conditions[i] = (struct where_condition){
            trial_draw_tag(t), (enum where_operator)below(t, WHERE_OPERATORS), draw_tag_value(t)};
    where.conditions = conditions;
    return where;
}

/* ---- types and bytes ---------------------------------------------------------------------- */

/* What a field likes to be: a base and a number of dimensions, the same for a trial's life. */
struct dtype trial_draw_type(struct trial *t, struct span field) {
    unsigned flavour = t->flavour[field.len ? (uint8_t)field.ptr[field.len - 1] % 8 : 0];
    if (trial_rarely(t)) flavour = (unsigned)below(t, 256);
    struct dtype item = {.base = (uint8_t)(flavour % DTYPE_BASES)};
    if (item.base < DTYPE_STR) item.dimensions = (uint8_t)(flavour / DTYPE_BASES % 4);
    for (unsigned d = 0; d < item.dimensions; d++)
        item.shape[d] = below(t, 6) ? 2 + d % 2 : (uint32_t)below(t, 4);
    return item;
}

static uint64_t item_bytes(const struct dtype *item) {
    uint64_t bytes = dtype_element_size(item->base);
    for (unsigned d = 0; d < item->dimensions; d++) bytes *= item->shape[d];
    return bytes;
}

/* Bytes that are values of this base, most of the time. */
static void fill_values(struct trial *t, unsigned base, char *bytes, size_t len) {
    unsigned seed = (unsigned)below(t, 256);
    for (size_t i = 0; i < len; i++)
        bytes[i] = base == DTYPE_BOOL  ? (char)((seed + i) % 2)
                   : base == DTYPE_STR ? (char)('a' + (seed + i) % 26)
                                       : (char)(seed + i * 31 + (i >> 8));
    if (len == 0) return;
    if (base == DTYPE_STR && len > 1 && below(t, 4) == 0) memcpy(bytes + len - 2, "\xc3\xbc", 2);
    if (trial_rarely(t)) bytes[below(t, len)] = (char)below(t, 256) | '\x80';
}

static size_t draw_text_length(struct trial *t) {
    switch (below(t, 8)) {
    case 0: return 0;
    case 1: return below(t, 3000);
    case 2: return below(t, 4) ? below(t, 300) : below(t, t->shape.large + 1);
    default: return below(t, 40);
    }
}

static struct span draw_bytes(struct trial *t, const struct dtype *item) {
    size_t len = item->base >= DTYPE_STR ? draw_text_length(t) : item_bytes(item);
    if (trial_rarely(t)) len += 1 + below(t, 3);
    char *bytes = scratch_alloc(&t->scratch, len + 1, 1);
    fill_values(t, item->base, bytes, len);
    return span_of(bytes, len);
}

/* ---- literals ----------------------------------------------------------------------------- */

static void write_literal(struct trial *t, FILE *out, const struct dtype *item, unsigned depth) {
    static const int values[] = {0, 1, 1, 0, 1, 2, 256, -1};
    if (depth == item->dimensions) {
        fprintf(out, "%d", values[below(t, below(t, 4) ? 5 : 8)]);
        return;
    }
    fputc(trial_rarely(t) ? '(' : '[', out);
    for (uint32_t i = 0; i < item->shape[depth]; i++) {
        if (i) fputc(',', out);
        write_literal(t, out, item, depth + 1);
    }
    if (!trial_rarely(t)) fputc(']', out);
}

static struct span draw_literal(struct trial *t, const struct dtype *item) {
    if (item->base >= DTYPE_STR) return draw_bytes(t, item);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    write_literal(t, out, item, 0);
    fclose(out);
    char *copy = scratch_alloc(&t->scratch, len + 1, 1);
    memcpy(copy, text, len);
    free(text);
    return span_of(copy, len);
}

/* ---- TQ.PUT ------------------------------------------------------------------------------- */

/* A bulk that arrived in a chunk of its own: pinned until the step is over. */
static struct chunk *direct_chunk(struct trial *t, struct span *bytes) {
    if (bytes->len == 0) return NULL;
    size_t before = below(t, 100);
    struct chunk *chunk = arena_take(store_arena(t->kit.store), before + bytes->len);
    memcpy(chunk->memory + before, bytes->ptr, bytes->len);
    bytes->ptr = chunk->memory + before;
    return chunk;
}

static void draw_value(struct trial *t, struct put_value *value) {
    *value = (struct put_value){.name = trial_rarely(t) ? draw_bad_word(t) : trial_draw_field(t)};
    struct dtype item = trial_draw_type(t, value->name);
    value->text = below(t, 3) == 0;
    value->typed = below(t, 3) > 0;
    value->type = item;
    if (item.dimensions && below(t, 4) == 0)
        value->type.shape[below(t, item.dimensions)] = DTYPE_STAR;
    value->bytes = value->text ? draw_literal(t, &item) : draw_bytes(t, &item);
    if (!value->text && value->bytes.len && (value->bytes.len > 30000 || trial_rarely(t)))
        value->chunk = direct_chunk(t, &value->bytes);
}

static void draw_group(struct trial *t, struct span *id, uint64_t *size) {
    *id = trial_rarely(t) ? draw_bad_key(t) : text_of(t, "group %u", (unsigned)below(t, 40));
    *size = trial_rarely(t) ? below(t, 3) * 65536 : 2u + t->flavour[0] % 3;
    if (trial_rarely(t)) ++*size;
}

void trial_draw_put(struct trial *t, struct put *put) {
    *put = (struct put){.partition = trial_draw_partition(t), .key = trial_draw_key(t)};
    if (trial_rarely(t)) put->key = draw_bad_key(t);
    if (trial_rarely(t)) put->partition = filled(t, below(t, 2) * 256, 'p');
    if (below(t, 4) == 0) draw_group(t, &put->group, &put->group_size);
    if (below(t, 10) == 0) put->only = below(t, 2) ? PUT_NX : PUT_XX;
    if (below(t, 12) == 0) {
        put->if_tag = draw_word(t, "tag.%u", 3);
        put->if_value = draw_tag_value(t);
    }
    put->n_tags = below(t, 3);
    put->n_values = below(t, 4);
    struct put_tag *tags = scratch_alloc(&t->scratch, put->n_tags, sizeof(*tags));
    struct put_value *values = scratch_alloc(&t->scratch, put->n_values, sizeof(*values));
    for (size_t i = 0; i < put->n_tags; i++)
        tags[i] = (struct put_tag){draw_word(t, "tag.%u", 3), draw_tag_value(t)};
    for (size_t i = 0; i < put->n_values; i++) draw_value(t, &values[i]);
    put->tags = tags;
    put->values = values;
}

/* ---- TQ.MPUT ------------------------------------------------------------------------------ */

static uint32_t draw_size(struct trial *t, const struct dtype *type, unsigned d, bool plain) {
    if (source_once_in(&t->source, 2000)) return (uint32_t)(UINT32_MAX - below(t, 2));
    return plain ? type->shape[d] : (uint32_t)below(t, 4);
}

/* A column of the type's own shapes: `*` where sizes are given for each sample. */
static void draw_column(struct trial *t, struct mput_column *column, size_t n) {
    struct dtype type = trial_draw_type(t, column->name), item = type;
    bool text = type.base >= DTYPE_STR, plain = below(t, 2) == 0;
    char *shape = scratch_zalloc(&t->scratch, n * DTYPE_MAX_DIMS + 2, sizeof(uint32_t));
    size_t numbers = 0, len = 0;
    column->type = type;
    for (unsigned d = 0; d < type.dimensions; d++)
        if (below(t, 3) == 0) column->type.shape[d] = DTYPE_STAR;
    for (size_t i = 0; i < n; i++) {
        for (unsigned d = 0; d < type.dimensions; d++) {
            if (column->type.shape[d] != DTYPE_STAR) continue;
            item.shape[d] = draw_size(t, &type, d, plain);
            memcpy(shape + 4 * numbers++, &item.shape[d], 4);
        }
        uint32_t each = text ? (uint32_t)below(t, 50) : (uint32_t)item_bytes(&item);
        if (text) memcpy(shape + 4 * numbers++, &each, 4);
        len += each < 4096 ? each : 0;
    }
    if (trial_rarely(t)) len += below(t, 2) ? 1 : (size_t)(len > 0) * -1;
    if (trial_rarely(t)) numbers += numbers ? -1 : 1;
    char *payload = scratch_alloc(&t->scratch, len + 1, 1);
    fill_values(t, type.base, payload, len);
    column->shape = span_of(shape, 4 * numbers);
    column->payload = span_of(len || below(t, 2) ? payload : NULL, len);
    column->chunk = below(t, 2) ? direct_chunk(t, &column->payload) : NULL;
}

static void draw_mput_groups(struct trial *t, struct mput *mput) {
    struct span *ids = scratch_alloc(&t->scratch, mput->n, sizeof(*ids));
    unsigned first = (unsigned)below(t, 1000);
    draw_group(t, &ids[0], &mput->group_size);
    uint64_t size = mput->group_size ? mput->group_size : 1;
    for (size_t i = 1; i < mput->n; i++)
        ids[i] = below(t, 20) ? text_of(t, "batch %u", first + (unsigned)(i / size % 99)) : ids[0];
    mput->group_ids = ids;
}

void trial_draw_mput(struct trial *t, struct mput *mput) {
    *mput = (struct mput){.partition = trial_draw_partition(t)};
    mput->n = 1 + below(t, below(t, 3) ? 6 : t->shape.batch);
    struct span *keys = scratch_alloc(&t->scratch, mput->n, sizeof(*keys));
    bool fresh = below(t, 4) > 0;
    for (size_t i = 0; i < mput->n; i++)
        keys[i] = fresh ? text_of(t, "new %u", t->steps * 10000 + (unsigned)i) : trial_draw_key(t);
    if (trial_rarely(t)) keys[below(t, mput->n)] = below(t, 2) ? draw_bad_key(t) : keys[0];
    mput->keys = keys;
    mput->n_tags = below(t, 3);
    mput->n_columns = below(t, 4);
    struct mput_tag *tags = scratch_alloc(&t->scratch, mput->n_tags, sizeof(*tags));
    struct mput_column *columns = scratch_zalloc(&t->scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_tags; i++) {
        struct span *values = scratch_alloc(&t->scratch, mput->n, sizeof(*values));
        for (size_t k = 0; k < mput->n; k++) values[k] = draw_tag_value(t);
        tags[i] = (struct mput_tag){draw_word(t, "tag.%u", 3), values};
    }
    for (size_t i = 0; i < mput->n_columns; i++) {
        columns[i].name = trial_rarely(t) ? draw_bad_word(t) : trial_draw_field(t);
        draw_column(t, &columns[i], mput->n);
    }
    mput->tags = tags;
    mput->columns = columns;
    if (below(t, 4) == 0) draw_mput_groups(t, mput);
}

/* ---- whom it concerns --------------------------------------------------------------------------- */

void trial_draw_select(struct trial *t, struct select *select) {
    *select = (struct select){.partition = trial_draw_partition(t)};
    if (below(t, 3)) {
        select->n_keys = 1 + below(t, 6);
        struct span *keys = scratch_alloc(&t->scratch, select->n_keys, sizeof(*keys));
        for (size_t i = 0; i < select->n_keys; i++) keys[i] = trial_draw_key(t);
        select->keys = keys;
    }
    if (!select->keys || below(t, 4) == 0) select->where = trial_draw_where(t, 2);
}
