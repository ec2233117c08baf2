/* A snapshot in memory: the sections of a store, to look at, to spoil, and to load. */
#ifndef TQ_TESTS_KIT_TAPE_H
#define TQ_TESTS_KIT_TAPE_H

#include "store/dump.h"
#include "store/load.h"

struct tape_section {
    unsigned kind;
    struct span head, payload; /* owned */
};

struct tape {
    struct tape_section *sections;
    size_t n, capacity;
};

/* All that the store holds. Aborts where a section breaks a rule of section.h. */
struct tape tape_record(const struct store *s, int64_t now_ms);
void tape_free(struct tape *tape);

/* The same sections, byte by byte? */
bool tape_equal(const struct tape *a, const struct tape *b);

/* One section into a load, by load_room and load_section. */
int tape_load_section(struct load *l, unsigned kind, struct span head, struct span payload,
                      struct error *e);

/* Loads all of it and applies the OP_ADOPT that comes out. After an error the store is what it was. */
int tape_play(const struct tape *tape, struct store *s, struct error *e);

#endif
