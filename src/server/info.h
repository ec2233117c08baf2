/* INFO: sections that modules register.
 *
 * A section is a name and a function that writes `field:value` lines; whoever knows the facts
 * registers the section. Fields carry Redis' names where they mean what Redis means by them, so
 * that the tools which watch Redis servers can watch this one. */
#ifndef TQ_SERVER_INFO_H
#define TQ_SERVER_INFO_H

#include <stdbool.h>

#include "base/span.h"
#include "server/text.h"

struct server;

struct info_section {
    const char *name; /* "memory"; NULL ends a table */
    bool on_request;  /* not part of a bare INFO: for what is long */
    void (*write)(const struct server *s, struct text *out);
};

/* Add a table that ends with a NULL name; borrowed for ever. Sections appear in order of
 * registration. */
void info_register(const struct info_section *table);

/* One `name:value` line. */
void info_line(struct text *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a number of bytes, with a second line `name_human` for people. */
void info_bytes(struct text *out, const char *name, size_t bytes);

/* The sections asked for by name: "default", "all" and "everything" are sets of them; an unknown
 * name is none. No names: the default. */
void info_write(const struct server *s, size_t n, const struct span *names, struct text *out);

/* The sections of this room: server, clients, memory, persistence, stats, replication, cpu,
 * commandstats, keyspace. */
void info_register_sections(void);

#endif
