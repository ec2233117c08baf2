/* See snapshot.h: loading. Sections are read and checked in batches (readahead.h): while one is put together, the next ones are on
 * their way. Whatever allocates, opens files or knows the store is done by the caller's thread; a job fills memory that is given to it
 * and computes checksums, which takes the page faults of fresh memory too. */
#include <string.h>

#include "base/log.h"
#include "persist/snapshot_format.h"

#define U(number) ((unsigned long long)(number))

/* So that threads rarely meet, and a loop that serves is not held up long; a section more, at most. */
enum { BATCH_BYTES = 2 << 20 };

/* ---- what is wanted ----------------------------------------------------------------------- */

static bool snapshot_want(struct snapshot *s, struct span name) {
    bool found = false;
    for (uint64_t i = 0; i < s->info.partitions; i++)
        if (span_equal(s->partitions[i].name, name)) s->partitions[i].wanted = found = true;
    return found;
}

/* The bytes of what is wanted. */
static uint64_t snapshot_wanted(const struct snapshot *s) {
    uint64_t at = 1, bytes = snapshot_section_bytes(&s->sections[0]);
    for (uint64_t i = 0; i < s->info.partitions; i++)
        for (uint64_t n = s->partitions[i].sections; n; n--, at++)
            bytes += s->partitions[i].wanted ? snapshot_section_bytes(&s->sections[at]) : 0;
    return bytes;
}

int snapshot_select(struct snapshot *s, const struct span *names, size_t n, struct error *e) {
    for (uint64_t i = 0; i < s->info.partitions; i++) s->partitions[i].wanted = false;
    for (size_t i = 0; i < n; i++)
        if (!snapshot_want(s, names[i]))
            return error_set(e, ERROR_NOPART, "snapshot %s has no partition %s",
                             QUOTE(span_of_string(s->name)), QUOTE(names[i]));
    snapshot_forget_batches(s);
    s->section = s->partition = s->left = s->done = 0;
    s->total = snapshot_wanted(s);
    return 0;
}

/* Past partitions that nobody wants. */
static void snapshot_skip(struct snapshot *s) {
    while (s->section && s->left == 0 && s->partition < s->info.partitions) {
        const struct snapshot_listed *p = &s->partitions[s->partition++];
        if (p->wanted)
            s->left = p->sections;
        else
            s->section += p->sections;
    }
}

/* The next one that is wanted, NULL behind the last. */
static const struct snapshot_section *snapshot_next(struct snapshot *s) {
    snapshot_skip(s);
    if (s->section >= s->info.sections) return NULL;
    const struct snapshot_section *section = &s->sections[s->section];
    if (s->section++) s->left--;
    return section;
}

/* ---- in either thread --------------------------------------------------------------------- */

/* Frame and head are in f->frame, and are what the index says. */
static int fetch_frame(struct snapshot *s, struct snapshot_fetch *f, uint64_t *payload_sum,
                       struct error *e) {
    const struct snapshot_section *section = f->section;
    int failed = snapshot_read(s, section->file, section->offset, f->frame.bytes, f->frame.len, e);
    if (failed) return failed;
    struct unpack u = unpack_of(pack_span_of(&f->frame));
    uint8_t kind = unpack_u8(&u);
    uint32_t head_len = unpack_u32(&u), payload_len = unpack_u32(&u);
    *payload_sum = unpack_u64(&u);
    unpack_bytes(&u, section->head_len);
    uint64_t sum = unpack_u64(&u);
    f->frame.len -= SNAPSHOT_HEAD_SUM;
    if (sum != checksum64(pack_span_of(&f->frame)) || kind != section->kind ||
        head_len != section->head_len || payload_len != section->payload_len)
        return snapshot_bad(s, section->file, section->offset, e,
                            "the checksum of a section's head is wrong");
    return 0;
}

/* The payload is where it belongs, and is the one that was written. */
static int fetch_payload(struct snapshot *s, struct snapshot_fetch *f, uint64_t payload_sum,
                         struct error *e) {
    const struct snapshot_section *section = f->section;
    uint64_t offset = section->offset + SNAPSHOT_FRAME + section->head_len + SNAPSHOT_HEAD_SUM;
    char *into = f->chunk ? f->chunk->memory : NULL;
    int failed = into ? snapshot_read(s, section->file, offset, into, section->payload_len, e) : 0;
    if (failed) return failed;
    struct checksum128 sum = checksum128(span_of(into ? into : "", section->payload_len));
    if (sum.low != payload_sum ||
        !checksum128_equal(snapshot_identify(&f->frame, sum), section->identity))
        return snapshot_bad(s, section->file, offset, e, "the checksum of a payload is wrong");
    return 0;
}

static void read_batch(void *context) {
    struct snapshot_batch *b = context;
    int failed = 0;
    for (size_t i = 0; i < b->n && !failed; i++) {
        uint64_t payload_sum = 0;
        struct error e;
        failed = fetch_frame(b->snapshot, &b->fetches[i], &payload_sum, &e);
        if (!failed) failed = fetch_payload(b->snapshot, &b->fetches[i], payload_sum, &e);
        if (!failed) continue;
        b->n = i; /* those before it are whole; what planning found comes later */
        b->failed = failed;
        b->error = e;
    }
}

/* ---- batches ------------------------------------------------------------------------------ */

static void batch_clear(struct snapshot_batch *b) {
    for (size_t i = 0; i < SNAPSHOT_BATCH; i++) {
        if (b->fetches[i].chunk) chunk_unpin(b->fetches[i].chunk);
        b->fetches[i].chunk = NULL;
    }
    b->job.run = NULL;
    b->n = b->at = 0;
    b->failed = 0;
}

/* Room for a section that its file is long enough for. */
static int fetch_plan(struct snapshot *s, struct snapshot_fetch *f, const struct load *load,
                      struct error *e) {
    const struct snapshot_section *section = f->section;
    int failed = snapshot_open_file(s, section->file, e);
    if (failed) return failed;
    uint64_t size = s->sizes[section->file];
    if (section->offset > size || size - section->offset < snapshot_section_bytes(section))
        return snapshot_bad(s, section->file, section->offset, e,
                            "a section of %llu bytes, but the file has %llu",
                            U(snapshot_section_bytes(section)), U(size));
    pack_clear(&f->frame);
    pack_room(&f->frame, SNAPSHOT_FRAME + (size_t)section->head_len + SNAPSHOT_HEAD_SUM);
    return section->payload_len ? load_room(load, section->payload_len, &f->chunk, e) : 0;
}

/* What comes next: some sections, or none behind the last. */
static void batch_plan(struct snapshot *s, struct snapshot_batch *b, const struct load *load) {
    uint64_t bytes = 0;
    b->snapshot = s;
    while (!b->failed && b->n < SNAPSHOT_BATCH && bytes < BATCH_BYTES) {
        struct snapshot_fetch *f = &b->fetches[b->n];
        f->section = snapshot_next(s);
        if (!f->section) return;
        bytes += snapshot_section_bytes(f->section);
        b->failed = fetch_plan(s, f, load, &b->error);
        b->n += !b->failed;
    }
}

static struct snapshot_batch *batch_at(struct snapshot *s, size_t i) {
    return &s->batches[(s->first + i) % SNAPSHOT_BATCHES];
}

/* As many as are to be on their way; none behind an error, or the last section. */
static void plan_ahead(struct snapshot *s, const struct load *load) {
    size_t most = readahead_has_thread(s->reader) ? SNAPSHOT_BATCHES : 1;
    while (s->n_batches < most && !s->planned) {
        struct snapshot_batch *b = batch_at(s, s->n_batches);
        batch_plan(s, b, load);
        s->planned = b->failed || !b->n;
        s->n_batches += b->failed || b->n;
        if (!b->n) continue;
        b->job = (struct readahead_job){.run = read_batch, .context = b};
        readahead_give(s->reader, &b->job);
    }
}

/* Is it read? Until then it is not to be looked at. */
static bool batch_ended(struct snapshot *s, struct snapshot_batch *b) {
    return !b->job.run || readahead_ended(s->reader, &b->job);
}

/* The batch that is loaded, with something left in it or an error; NULL at the end. It may not have ended. */
static struct snapshot_batch *batch_current(struct snapshot *s, const struct load *load) {
    struct snapshot_batch *b = batch_at(s, 0);
    if (s->n_batches && batch_ended(s, b) && b->at == b->n && !b->failed) {
        batch_clear(b);
        s->first = (s->first + 1) % SNAPSHOT_BATCHES;
        s->n_batches--;
    }
    plan_ahead(s, load);
    return s->n_batches ? batch_at(s, 0) : NULL;
}

void snapshot_read_ahead(struct snapshot *s) {
    readahead_free(s->reader);
    s->reader = readahead_new(true);
    if (!readahead_has_thread(s->reader))
        log_warning("can't start a thread that reads ahead: loading goes on without, slower");
}

bool snapshot_is_ready(struct snapshot *s, const struct load *load) {
    struct snapshot_batch *b = batch_current(s, load);
    return !b || batch_ended(s, b) || !readahead_has_thread(s->reader);
}

void snapshot_forget_batches(struct snapshot *s) {
    readahead_drop(s->reader);
    for (size_t i = 0; i < SNAPSHOT_BATCHES; i++) {
        struct snapshot_batch *b = &s->batches[i];
        batch_clear(b);
        for (size_t k = 0; k < SNAPSHOT_BATCH; k++) pack_free(&b->fetches[k].frame);
    }
    s->n_batches = 0;
    s->planned = false;
}

/* The next section, read and whole: NULL and no error behind the last. */
static int snapshot_fetch(struct snapshot *s, const struct load *load, struct snapshot_fetch **out,
                          struct error *e) {
    struct snapshot_batch *b = batch_current(s, load);
    *out = NULL;
    if (!b) return 0;
    if (b->job.run) readahead_wait(s->reader, &b->job);
    if (b->at < b->n)
        *out = &b->fetches[b->at++];
    else
        *e = b->error;
    return *out ? 0 : b->failed;
}

/* ---- loading ------------------------------------------------------------------------------ */

/* What the load says of it, with the place. */
static int section_refused(const struct snapshot *s, const struct snapshot_section *section,
                           const struct error *inner, struct error *e) {
    return error_set(e, inner->code, "snapshot %s at %llu: %s",
                     QUOTE(span_of_string(snapshot_name(s, section->file))), U(section->offset),
                     inner->text);
}

static int section_load(struct snapshot *s, struct snapshot_fetch *f, struct load *load,
                        struct error *e) {
    const struct snapshot_section *section = f->section;
    struct error inner;
    struct span head = span_of(f->frame.bytes + SNAPSHOT_FRAME, section->head_len);
    int failed = load_section(load, section->kind, head, f->chunk, section->payload_len, &inner);
    if (f->chunk) chunk_unpin(f->chunk);
    f->chunk = NULL;
    if (failed) return section_refused(s, section, &inner, e);
    s->done += snapshot_section_bytes(section);
    return 0;
}

int snapshot_load_step(struct snapshot *s, struct load *load, uint64_t budget, bool *done,
                       struct error *e) {
    uint64_t begin = s->done;
    *done = false;
    while (!*done && s->done - begin < budget && (s->done == begin || snapshot_is_ready(s, load))) {
        if (load_prepare(load)) return 0;
        struct snapshot_fetch *f;
        int failed = snapshot_fetch(s, load, &f, e);
        if (!failed && f) failed = section_load(s, f, load, e);
        if (failed) {
            snapshot_forget_batches(s);
            return failed;
        }
        *done = !f || s->done == s->total;
    }
    return 0;
}
