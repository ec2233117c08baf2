/* See info.h. */
#include "server/info.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

static const struct info_section **sections;
static size_t n_sections, sections_capacity;

void info_register(const struct info_section *table) {
    for (; table->name; table++) {
        sections = mem_grow(sections, &sections_capacity, n_sections + 1, sizeof(*sections));
        sections[n_sections++] = table;
    }
}

void info_line(struct text *out, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_printf(out, "%s:", name);
    text_vprintf(out, format, args);
    text_add(out, SPAN_LITERAL("\r\n"));
    va_end(args);
}

void info_bytes(struct text *out, const char *name, size_t bytes) {
    static const char units[] = "BKMGTP";
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1024 && units[unit + 1]) {
        amount /= 1024;
        unit++;
    }
    text_printf(out, "%s:%zu\r\n", name, bytes);
    if (unit)
        text_printf(out, "%s_human:%.2f%c\r\n", name, amount, units[unit]);
    else
        text_printf(out, "%s_human:%zuB\r\n", name, bytes);
}

static bool wanted(const struct info_section *section, size_t n, const struct span *names) {
    if (!n) return !section->on_request;
    for (size_t i = 0; i < n; i++) {
        if (span_is(names[i], section->name)) return true;
        if (span_is(names[i], "all") || span_is(names[i], "everything")) return true;
        if (span_is(names[i], "default") && !section->on_request) return true;
    }
    return false;
}

void info_write(const struct server *s, size_t n, const struct span *names, struct text *out) {
    for (size_t i = 0; i < n_sections; i++) {
        if (!wanted(sections[i], n, names)) continue;
        const char *name = sections[i]->name;
        text_printf(out, "%s# %c%s\r\n", out->len ? "\r\n" : "", toupper((unsigned char)*name),
                    name + 1);
        sections[i]->write(s, out);
    }
}
