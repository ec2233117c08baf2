/* Results as one JSON document: see report.h. */
#include <inttypes.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/report.h"

/* Names here are ASCII without quotes; only what comes from the machine needs care. */
static void print_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') fputc('\\', out);
        if (c >= ' ') fputc(c, out);
    }
    fputc('"', out);
}

static void print_processor(FILE *out) {
    char line[256], model[200] = "unknown";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "model name : %199[^\n]", model) == 1) break;
    if (file) fclose(file);
    print_string(out, model);
}

void report_json_begin(FILE *out) {
    struct utsname os = {0};
    char date[32];
    time_t now = time(NULL);
    uname(&os);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    fprintf(out, "{\"tool\": \"tq-benchmark\", \"version\": \"%s\", \"date\": \"%s\",\n",
            PACKAGE_VERSION, date);
    fprintf(out, " \"machine\": {\"kernel\": ");
    print_string(out, os.release);
    fprintf(out, ", \"processors\": %ld, \"processor\": ", sysconf(_SC_NPROCESSORS_ONLN));
    print_processor(out);
    fprintf(out, "},\n \"results\": [\n");
}

void report_json_end(FILE *out) {
    fprintf(out, "\n ]}\n");
}

static void print_json_ratio(FILE *out, const char *of, const struct report_ratio *r) {
    if (r->median > 0)
        fprintf(out, ", \"%s_ratio\": %.4f, \"%s_ratio_min\": %.4f, \"%s_ratio_max\": %.4f", of,
                r->median, of, r->min, of, r->max);
}

static void print_json_peer(FILE *out, const struct report_peer *p) {
    fprintf(out,
            "{\"peer\": \"%s\", \"gbit_s\": %.4f, \"rate_s\": %.1f, \"p50_us\": %.2f, "
            "\"p99_us\": %.2f, \"p999_us\": %.2f, \"elapsed_s\": %.6f, \"server_cpu_s\": %.6f, "
            "\"server_cpu_request_s\": %.9f, "
            "\"client_cpu_s\": %.6f, \"requests\": %" PRIu64 ", \"resident_bytes\": %zu, "
            "\"used_memory_bytes\": %" PRIu64,
            p->name, p->gbit, p->rate, p->p50_us, p->p99_us, p->p999_us, p->elapsed_s, p->cpu_s,
            p->cpu_request_s, p->client_cpu_s, p->requests, p->resident, p->used_memory);
    if (p->ratio.median > 0)
        fprintf(out, ", \"ratio\": %.4f, \"ratio_min\": %.4f, \"ratio_max\": %.4f", p->ratio.median,
                p->ratio.min, p->ratio.max);
    print_json_ratio(out, "p50", &p->p50_ratio);
    print_json_ratio(out, "p99", &p->p99_ratio);
    fputc('}', out);
}

void report_json(FILE *out, const struct report_result *r) {
    fprintf(out, "  {\"scenario\": \"%s\"", r->scenario);
    if (r->mix) fprintf(out, ", \"mix\": \"%s\"", r->mix);
    fprintf(out,
            ", \"samples\": %zu, \"fields\": %zu, \"value_bytes\": %zu, "
            "\"payload_bytes\": %" PRIu64 ", \"partition_samples\": %" PRIu64
            ", \"transport\": \"%s\", \"connections\": %zu, \"pipeline\": %zu, "
            "\"state\": \"%s\", \"rounds\": %zu, \"waves\": %zu",
            r->samples, r->fields, r->value_bytes, r->payload_bytes, r->partition_samples,
            r->transport, r->connections, r->pipeline, r->cold ? "cold" : "warm", r->rounds,
            r->waves);
    if (r->cpu_ratio > 0) fprintf(out, ", \"cpu_ratio\": %.4f", r->cpu_ratio);
    fprintf(out, ",\n   \"peers\": [");
    for (size_t i = 0; i < r->n_peers; i++) {
        if (i) fprintf(out, ",\n    ");
        print_json_peer(out, &r->peers[i]);
    }
    fprintf(out, "]}");
}

void report_json_memory(FILE *out, const struct report_memory *m) {
    fprintf(out,
            "  {\"scenario\": \"%s\", \"state\": \"%s\", \"samples\": %zu, \"fields\": %zu, "
            "\"value_bytes\": %zu, \"payload_bytes\": %" PRIu64 ", \"resident_bytes\": %" PRIu64
            ", \"resident_empty_bytes\": %" PRIu64 ", \"ratio\": %.4f",
            m->scenario, m->state, m->samples, m->fields, m->value_bytes, m->payload_bytes,
            m->resident, m->resident_empty, m->ratio);
    if (m->overhead_allowed > 0)
        fprintf(out, ", \"overhead_bytes_sample\": %.2f, \"overhead_allowed_sample\": %.2f",
                m->overhead_sample, m->overhead_allowed);
    fputc('}', out);
}
