/* See simdisk.h: what is found after a crash. */
#include <string.h>

#include "base/mem.h"
#include "simdisk_node.h"

enum { SECTOR = 512, ODDS = 4 };

/* How often what was not synced has made it, of ODDS: so that among the outcomes are those in which just names, or just contents,
 * or almost nothing is lost. */
struct luck {
    struct source *source;
    uint64_t contents, names;
};

static bool lucky(struct luck *luck, uint64_t odds) {
    return source_below(luck->source, ODDS) < odds;
}

/* ---- files -------------------------------------------------------------------------------- */

/* Bytes up to `len`, zeros where there were none. */
static void extend(struct pack *bytes, size_t len) {
    size_t more = len > bytes->len ? len - bytes->len : 0;
    if (more) memset(pack_room(bytes, more), 0, more);
}

/* The sectors that a change touches make it or don't, each for itself. `now` is what the file was behind the change. */
static void tear(struct luck *luck, size_t from, size_t until, const struct pack *now,
                 struct pack *out) {
    extend(out, until);
    for (size_t sector = from / SECTOR * SECTOR; sector < until; sector += SECTOR) {
        size_t end = sector + SECTOR < out->len ? sector + SECTOR : out->len;
        if (!lucky(luck, luck->contents)) continue;
        size_t has = now->len <= sector ? 0 : now->len < end ? now->len - sector : end - sector;
        if (has) memcpy(out->bytes + sector, now->bytes + sector, has);
        memset(out->bytes + sector + has, 0, end - sector - has);
    }
}

static size_t torn_length(struct luck *luck, size_t synced, size_t now, size_t least, size_t most) {
    switch (source_below(luck->source, ODDS)) {
    case 0: return synced;
    case 1: return now;
    default: return (size_t)source_between(luck->source, least, most);
    }
}

static void crash_file(struct luck *luck, const struct simdisk_node *from, struct pack *out) {
    struct pack now = {0};
    size_t least = from->synced.len, most = least;
    pack_bytes(&now, pack_span_of(&from->synced));
    pack_bytes(out, pack_span_of(&from->synced));
    for (size_t i = 0; i < from->n_changes; i++) {
        const struct simdisk_change *change = &from->changes[i];
        size_t before = now.len;
        simdisk_change_apply(change, &now);
        if (now.len < least) least = now.len;
        if (now.len > most) most = now.len;
        if (before != now.len)
            tear(luck, (size_t)change->offset, before > now.len ? before : now.len, &now, out);
    }
    extend(out, most);
    out->len = from->n_changes ? torn_length(luck, from->synced.len, now.len, least, most) : most;
    pack_free(&now);
}

static void copy_changes(const struct simdisk_node *from, struct simdisk_node *to) {
    for (size_t i = 0; i < from->n_changes; i++) {
        const struct simdisk_change *change = &from->changes[i];
        to->changes = mem_grow(to->changes, &to->changes_capacity, i + 1, sizeof(*to->changes));
        to->changes[i] = *change;
        if (change->bytes) to->changes[i].bytes = mem_dup(change->bytes, change->len);
        to->n_changes++;
    }
}

/* ---- directories -------------------------------------------------------------------------- */

static int name_found(const struct simdisk_entry *entry, enum simdisk_crash how,
                      struct luck *luck) {
    if (how == SIMDISK_LOST) return entry->nodes[0];
    if (how == SIMDISK_KEPT || lucky(luck, luck->names)) return simdisk_entry_now(entry);
    return entry->nodes[source_below(luck->source, entry->n)];
}

static void crash_entry(const struct simdisk_entry *from, enum simdisk_crash how, struct luck *luck,
                        struct simdisk_node *to) {
    struct simdisk_entry *entry = simdisk_entry_add(to, from->name);
    if (how != SIMDISK_KILLED)
        simdisk_entry_set(entry, from->n > 1 ? name_found(from, how, luck) : from->nodes[0]);
    for (size_t i = 0; how == SIMDISK_KILLED && i < from->n; i++)
        simdisk_entry_set(entry, from->nodes[i]);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void crash_node(const struct simdisk_node *from, enum simdisk_crash how, struct luck *luck,
                       struct simdisk_node *to) {
    for (size_t i = 0; i < from->n_entries; i++) crash_entry(&from->entries[i], how, luck, to);
    if (how == SIMDISK_KILLED) {
        pack_bytes(&to->now, pack_span_of(&from->now));
        pack_bytes(&to->synced, pack_span_of(&from->synced));
        copy_changes(from, to);
        return;
    }
    if (how == SIMDISK_TORN)
        crash_file(luck, from, &to->now);
    else
        pack_bytes(&to->now, pack_span_of(how == SIMDISK_LOST ? &from->synced : &from->now));
    simdisk_node_settle(to);
}

struct simdisk *simdisk_crash(const struct simdisk *d, enum simdisk_crash how,
                              struct source *source) {
    struct simdisk *to = mem_calloc(1, sizeof(*to));
    struct luck luck = {.source = source};
    if (how == SIMDISK_TORN) luck.contents = source_below(source, ODDS + 1);
    if (how == SIMDISK_TORN) luck.names = source_below(source, ODDS + 1);
    to->disk.ops = &simdisk_ops;
    to->limit = d->limit;
    for (size_t i = 0; i < d->n; i++) simdisk_node_new(to, d->nodes[i]->directory);
    for (size_t i = 0; i < d->n; i++) crash_node(d->nodes[i], how, &luck, to->nodes[i]);
    return to;
}
