/* One peer of a batch scenario: connected, filled, proven right, ready to be measured. */
#ifndef TQ_BENCHMARK_BATCH_PEER_H
#define TQ_BENCHMARK_BATCH_PEER_H

#include "benchmark/drive.h"
#include "benchmark/measure.h"
#include "benchmark/peer.h"
#include "benchmark/rawpeer.h"
#include "benchmark/workload.h"

enum batch_peer_kind { BATCH_PEER_TQ, BATCH_PEER_RAW, BATCH_PEER_REDIS };

/* The same for all peers of a scenario. */
struct batch_setting {
    enum scenario scenario;
    const struct batch *batch;
    enum link_transport transport;
    int buffer;
    size_t connections, pipeline;
    bool cold;
    const char *raw_path; /* of the raw peer's unix socket */
};

struct batch_peer {
    enum batch_peer_kind kind;
    const struct batch_setting *setting;
    struct peer *server; /* NULL for the raw peer */
    struct rawpeer raw;
    struct workload workload;
    struct drive drive;
    size_t *sent;                 /* messages of this wave, by connection */
    struct replies_counts before; /* when the wave began */
    struct measure_peer measure;
};

/* Put together what does not change between rounds. `server` is NULL for the raw peer. */
void batch_peer_make(struct batch_peer *p, enum batch_peer_kind kind, const struct batch_setting *s,
                     struct peer *server);
void batch_peer_free(struct batch_peer *p);

/* Connect (to a fresh raw peer), put there what is to be read, and unless the setting is cold:
 * run once off the clock, and prove that what was put or read is the batch. */
int batch_peer_open(struct batch_peer *p, struct error *e);

/* The proof alone, after a cold wave. */
int batch_peer_prove(struct batch_peer *p, struct error *e);

/* Disconnect; drop what was put there. */
void batch_peer_close(struct batch_peer *p);

#endif
