/* Results as CSV, a line a peer: see report.h. */
#include <inttypes.h>

#include "benchmark/report.h"

void report_csv_begin(FILE *out) {
    fputs("scenario,peer,mix,samples,fields,value_bytes,payload_bytes,partition_samples,transport,"
          "connections,pipeline,state,rounds,waves,gbit_s,rate_s,p50_us,p99_us,p999_us,elapsed_s,"
          "server_cpu_s,server_cpu_request_s,client_cpu_s,requests,resident_bytes,used_memory_"
          "bytes,ratio,ratio_min,ratio_max,p50_ratio,p99_ratio\n",
          out);
}

void report_csv(FILE *out, const struct report_result *r) {
    for (size_t i = 0; i < r->n_peers; i++) {
        const struct report_peer *p = &r->peers[i];
        fprintf(out, "%s,%s,%s,%zu,%zu,%zu,%" PRIu64 ",%" PRIu64 ",%s,%zu,%zu,%s,%zu,%zu,",
                r->scenario, p->name, r->mix ? r->mix : "", r->samples, r->fields, r->value_bytes,
                r->payload_bytes, r->partition_samples, r->transport, r->connections, r->pipeline,
                r->cold ? "cold" : "warm", r->rounds, r->waves);
        fprintf(out, "%.4f,%.1f,%.2f,%.2f,%.2f,%.6f,%.6f,%.9f,%.6f,%" PRIu64 ",%zu,%" PRIu64 ",",
                p->gbit, p->rate, p->p50_us, p->p99_us, p->p999_us, p->elapsed_s, p->cpu_s,
                p->cpu_request_s, p->client_cpu_s, p->requests, p->resident, p->used_memory);
        if (p->ratio.median > 0)
            fprintf(out, "%.4f,%.4f,%.4f,", p->ratio.median, p->ratio.min, p->ratio.max);
        else
            fputs(",,,", out);
        if (p->p50_ratio.median > 0)
            fprintf(out, "%.4f,%.4f\n", p->p50_ratio.median, p->p99_ratio.median);
        else
            fputs(",\n", out);
    }
}

/* The same columns; those that a memory scenario has not stay empty. */
void report_csv_memory(FILE *out, const struct report_memory *m) {
    fprintf(out, "%s,tq,,%zu,%zu,%zu,%" PRIu64 ",,,,,%s,,,,,,,,,,,,,%" PRIu64 ",,%.4f,,,,\n",
            m->scenario, m->samples, m->fields, m->value_bytes, m->payload_bytes, m->state,
            m->resident, m->ratio);
}
