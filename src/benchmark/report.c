/* See report.h. */
#include "benchmark/report.h"

#include <stdarg.h>

#include "base/mem.h"

void report_begin(struct report *r, enum report_form form, FILE *out) {
    *r = (struct report){.form = form, .out = out};
    if (form == REPORT_JSON) report_json_begin(out);
    if (form == REPORT_CSV) report_csv_begin(out);
}

void report_end(struct report *r) {
    if (r->form == REPORT_JSON) report_json_end(r->out);
    mem_free(r->results);
    *r = (struct report){0};
}

/* A long run shows each result as soon as it is there. */
static void printed(struct report *r) {
    r->printed++;
    fflush(r->out);
}

static void separate(struct report *r) {
    if (!r->printed) return;
    if (r->form == REPORT_JSON) fputs(",\n", r->out);
    if (r->form == REPORT_TABLE) fputc('\n', r->out);
}

void report_add(struct report *r, const struct report_result *result) {
    r->results = mem_grow(r->results, &r->capacity, r->n + 1, sizeof(*r->results));
    r->results[r->n++] = *result;
    separate(r);
    switch (r->form) {
    case REPORT_TABLE: report_table(r->out, result); break;
    case REPORT_QUIET: report_quiet(r->out, result); break;
    case REPORT_JSON: report_json(r->out, result); break;
    case REPORT_CSV: report_csv(r->out, result); break;
    }
    printed(r);
}

void report_add_memory(struct report *r, const struct report_memory *m) {
    separate(r);
    switch (r->form) {
    case REPORT_TABLE:
    case REPORT_QUIET: report_table_memory(r->out, m); break;
    case REPORT_JSON: report_json_memory(r->out, m); break;
    case REPORT_CSV: report_csv_memory(r->out, m); break;
    }
    printed(r);
}

void report_note(struct report *r, const char *format, ...) {
    if (r->form != REPORT_TABLE) return;
    va_list args;
    va_start(args, format);
    vfprintf(r->out, format, args);
    va_end(args);
    fputc('\n', r->out);
    fflush(r->out);
}
