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
    if (r->stood_s > 0)
        fprintf(out, "  the machine stood %.0f %% of %.1f s: taken off\n",
                100 * r->stood_s / r->took_s, r->took_s);
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

static void print_spread(FILE *out, const char *name, const struct report_spread *us) {
    struct units_text u, v, w;
    fprintf(out, "%s %s (%s–%s)", name, units_time(us->median / 1e6, &u),
            units_time(us->min / 1e6, &v), units_time(us->max / 1e6, &w));
}

static void print_phase(FILE *out, const char *when, const struct report_pause_phase *p,
                        bool has_machine) {
    fprintf(out, "  %s, by the clock: ", when);
    print_spread(out, "longest", &p->longest_us);
    print_spread(out, ", p99.9", &p->p999_us);
    if (has_machine) {
        fprintf(out, "\n    by the machine's, which stood %.0f %% of %.1f s: ",
                100 * p->stood_s / p->took_s, p->took_s);
        print_spread(out, "longest", &p->machine_us);
        print_spread(out, ", p99.9", &p->machine_p999_us);
        print_spread(out, "\n    of an idle server: longest", &p->idle_us);
        print_spread(out, "; while all processors were seen at work: longest", &p->beyond_us);
    }
    fputc('\n', out);
}

void report_table_pause(FILE *out, const struct report_pause *p) {
    struct units_text u, v, w;
    fprintf(out, "%s of %s: %s of payload in values of %s, %s writes a second, %s, %zu round%s\n",
            p->scenario, p->peer, units_bytes(p->payload_bytes, &u),
            units_binary(p->value_bytes, &v), units_count(p->rate, &w), p->transport, p->rounds,
            p->rounds == 1 ? "" : "s");
    print_phase(out, "while saving", &p->during, p->has_machine);
    print_phase(out, "without", &p->before, p->has_machine);
    if (!p->has_machine)
        fputs("  when the machine stood is not known: real-time priority is not permitted\n", out);
    fprintf(out, "  fork %s, save %s, extra memory %s, %.2f %% of the payload\n",
            units_time(p->fork_us / 1e6, &u), units_time(p->save_s, &v),
            units_bytes(p->extra_bytes, &w),
            100 * (double)p->extra_bytes / (double)p->payload_bytes);
}
