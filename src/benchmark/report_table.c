/* Results for people: see report.h. */
#include <string.h>

#include "benchmark/report.h"
#include "benchmark/units.h"

static void print_title(FILE *out, const struct report_result *r) {
    struct units_text u, v;
    fprintf(out, "%s: ", r->scenario);
    if (r->mix)
        fprintf(out, "%zu × %zu × %s %s, %s a batch, ", r->samples, r->fields,
                units_binary(r->value_bytes, &u), r->mix, units_bytes(r->payload_bytes, &v));
    else if (r->samples)
        fprintf(out, "%zu at a time, ", r->samples);
    else if (r->value_bytes)
        fprintf(out, "%s, ", units_binary(r->value_bytes, &u));
    if (r->partition_samples)
        fprintf(out, "of %s samples, ", units_count((double)r->partition_samples, &u));
    fprintf(out, "%s, %s, %zu connection%s, pipeline %zu, %zu round%s of %zu\n",
            r->cold ? "cold" : "warm", r->transport, r->connections, r->connections == 1 ? "" : "s",
            r->pipeline, r->rounds, r->rounds == 1 ? "" : "s", r->waves);
}

static void print_time_ratios(FILE *out, const struct report_result *r,
                              const struct report_peer *p) {
    fprintf(out, "  %s/%s of times: p50 %.2f (%.2f–%.2f), p99 %.2f (%.2f–%.2f)\n", r->peers[0].name,
            p->name, p->p50_ratio.median, p->p50_ratio.min, p->p50_ratio.max, p->p99_ratio.median,
            p->p99_ratio.min, p->p99_ratio.max);
}

static void print_ratios(FILE *out, const struct report_result *r) {
    const char *before = "  ";
    for (size_t i = 1; i < r->n_peers; i++, before = "; ")
        fprintf(out, "%s%s/%s %.2f (%.2f–%.2f)", before, r->peers[0].name, r->peers[i].name,
                r->peers[i].ratio.median, r->peers[i].ratio.min, r->peers[i].ratio.max);
    if (r->n_peers > 1) fputc('\n', out);
    for (size_t i = 1; i < r->n_peers && r->peers[i].p50_ratio.median > 0; i++)
        print_time_ratios(out, r, &r->peers[i]);
    if (r->cpu_ratio > 0)
        fprintf(out, "  server CPU a request: %.2f of that with the first partition\n",
                r->cpu_ratio);
}

/* Right-aligned by what is seen: µ and × are two bytes each. */
static void print_cell(FILE *out, const char *text, int width) {
    int seen = 0;
    for (const char *c = text; *c; c++) seen += (*c & 0xc0) != 0x80;
    fprintf(out, "%*s%s", width > seen ? width - seen : 0, "", text);
}

static void print_row(FILE *out, const char *const *cells) {
    static const int widths[] = {9, 11, 10, 10, 10, 12, 12, 10};
    for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++)
        print_cell(out, cells[i], widths[i]);
    fputc('\n', out);
}

static void print_peer(FILE *out, const struct report_peer *p, bool bulk) {
    struct units_text rate, p50, p99, p999, cpu, client, resident;
    char gbit[24] = "";
    /* Of a small command, its own time says more than the sum of a hundred thousand. */
    double each = bulk || !p->requests ? 1 : 1 / (double)p->requests;
    if (bulk) snprintf(gbit, sizeof(gbit), "%.2f", p->gbit);
    fprintf(out, "  %-8s", p->name);
    print_row(out, (const char *[]){
                       gbit, units_count(p->rate, &rate), units_time(p->p50_us / 1e6, &p50),
                       units_time(p->p99_us / 1e6, &p99), units_time(p->p999_us / 1e6, &p999),
                       units_time(bulk ? p->cpu_s : p->cpu_request_s, &cpu),
                       units_time(p->client_cpu_s * each, &client),
                       p->resident ? units_bytes(p->resident, &resident) : "-"});
}

void report_table(FILE *out, const struct report_result *r) {
    bool bulk = r->mix != NULL;
    print_title(out, r);
    fprintf(out, "  %-8s", "");
    print_row(out, (const char *[]){bulk ? "Gbit/s" : "", bulk ? "samples/s" : "requests/s", "p50",
                                    "p99", "p99.9", "server CPU", "client CPU", "resident"});
    for (size_t i = 0; i < r->n_peers; i++) print_peer(out, &r->peers[i], bulk);
    print_ratios(out, r);
}

void report_quiet(FILE *out, const struct report_result *r) {
    struct units_text u;
    fprintf(out, "%s", r->scenario);
    if (r->mix)
        fprintf(out, " %zu×%zu×%s %s", r->samples, r->fields, units_binary(r->value_bytes, &u),
                r->mix);
    if (r->partition_samples) fprintf(out, " of %s", units_count((double)r->partition_samples, &u));
    fprintf(out, " %s%s:", r->transport, r->cold ? " cold" : "");
    for (size_t i = 0; i < r->n_peers; i++) {
        const struct report_peer *p = &r->peers[i];
        fprintf(out, "%s %s ", i ? "," : "", p->name);
        if (r->mix)
            fprintf(out, "%.2f Gbit/s", p->gbit);
        else
            fprintf(out, "%s/s", units_count(p->rate, &u));
        if (i) fprintf(out, " (×%.2f)", p->ratio.median);
        if (p->p50_ratio.median > 0)
            fprintf(out, " (p50 ×%.2f, p99 ×%.2f)", p->p50_ratio.median, p->p99_ratio.median);
    }
    if (r->cpu_ratio > 0) fprintf(out, " (CPU ×%.2f)", r->cpu_ratio);
    fputc('\n', out);
}

void report_table_memory(FILE *out, const struct report_memory *m) {
    struct units_text u, v, w, x;
    fprintf(out, "%s: %s × %zu × %s, %s\n", m->scenario, units_count((double)m->samples, &u),
            m->fields, units_binary(m->value_bytes, &v), m->state);
    fprintf(out, "  payload %s, resident %s (%s while empty): %.3f of the payload\n",
            units_bytes(m->payload_bytes, &u), units_bytes(m->resident, &v),
            units_bytes(m->resident_empty, &w), m->ratio);
    if (m->overhead_allowed > 0)
        fprintf(out,
                "  %s a sample beyond payload, of %s that 100 B a sample and 16 B a cell make\n",
                units_bytes((uint64_t)m->overhead_sample, &w),
                units_bytes((uint64_t)m->overhead_allowed, &x));
}
