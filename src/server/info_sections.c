/* What INFO says about this room. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/client.h"
#include "server/command.h"
#include "server/info.h"
#include "server/listener.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/store.h"

/* The Redis whose protocol and generic commands this server speaks: clients that look at the
 * version to learn what they may send look for this field. */
#define SPOKEN_REDIS_VERSION "7.0.15"

static void write_server(const struct server *s, struct text *out) {
    struct utsname os;
    int64_t uptime = (s->now_us - s->started_us) / 1000000;
    info_line(out, "tq_version", "%s", PACKAGE_VERSION);
    info_line(out, "redis_version", "%s", SPOKEN_REDIS_VERSION);
    info_line(out, "redis_mode", "standalone");
    if (!uname(&os)) info_line(out, "os", "%s %s %s", os.sysname, os.release, os.machine);
    info_line(out, "arch_bits", "%zu", sizeof(void *) * 8);
    info_line(out, "multiplexing_api", "libevent-%s-%s", event_get_version(),
              event_base_get_method(s->base));
    info_line(out, "process_id", "%d", (int)getpid());
    info_line(out, "run_id", "%s", s->run_id);
    info_line(out, "tcp_port", "%lld", (long long)listener_port(s->listener));
    info_line(out, "server_time_usec", "%lld", (long long)s->now_ms * 1000);
    info_line(out, "uptime_in_seconds", "%lld", (long long)uptime);
    info_line(out, "uptime_in_days", "%lld", (long long)uptime / 86400);
    info_line(out, "config_file", "%s", s->config_file ? s->config_file : "");
}

static void write_clients(const struct server *s, struct text *out) {
    info_line(out, "connected_clients", "%zu", s->clients->count);
    info_line(out, "maxclients", "%lld", (long long)s->clients->maxclients);
    info_line(out, "blocked_clients", "%zu", waiter_count(s));
    info_line(out, "pubsub_clients", "%zu", s->pubsub->clients);
}

/* Pages of this process that are in memory now, those shared through memfds included. */
static size_t resident_bytes(void) {
    unsigned long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void write_memory(const struct server *s, struct text *out) {
    struct store_stats stats;
    store_stats(s->store, &stats);
    size_t used = server_memory_used(s), resident = resident_bytes();
    info_bytes(out, "used_memory", used);
    info_bytes(out, "used_memory_rss", resident);
    info_bytes(out, "used_memory_peak",
               used > s->metrics.memory_peak ? used : s->metrics.memory_peak);
    info_bytes(out, "maxmemory", (size_t)s->maxmemory);
    info_line(out, "maxmemory_policy", "noeviction");
    info_line(out, "mem_allocator", "%s", mem_allocator());
    info_line(out, "mem_fragmentation_ratio", "%.2f", used ? (double)resident / (double)used : 0.0);
    info_bytes(out, "payload_bytes", stats.payload_bytes);
    info_bytes(out, "overhead_bytes", stats.overhead_bytes);
    info_bytes(out, "chunk_bytes", stats.arena.allocated);
    size_t live = stats.live_bytes, held = stats.arena.allocated + stats.arena.free_recycled;
    info_bytes(out, "chunk_bytes_live", live);
    info_bytes(out, "chunk_bytes_dead", stats.arena.allocated - live);
    info_bytes(out, "chunk_bytes_free", stats.arena.free_recycled);
    info_line(out, "chunk_fragmentation_ratio", "%.2f", live ? (double)held / (double)live : 0.0);
    info_line(out, "chunks", "%zu", stats.arena.chunks);
    info_line(out, "regions_in_use", "%zu", stats.arena.regions - stats.arena.regions_free);
    info_line(out, "regions_free", "%zu", stats.arena.regions_free);
    info_bytes(out, "regions_mapped", stats.arena.mapped);
    info_bytes(out, "small_allocations", mem_used());
    info_bytes(out, "reply_buffers", reply_pool_bytes(s->reply_pool));
}

static void write_stats(const struct server *s, struct text *out) {
    const struct metrics *m = &s->metrics;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"total_connections_received", m->connections},
        {"total_commands_processed", m->commands},
        {"instantaneous_ops_per_sec", metrics_per_second(&m->commands_rate)},
        {"total_net_input_bytes", m->bytes_in},
        {"total_net_output_bytes", m->bytes_out},
        {"total_net_input_landed_bytes", m->bytes_read_directly},
        {"total_net_output_lent_bytes", m->bytes_sent_by_ref},
        {"rejected_connections", m->rejected},
        {"rejected_commands", m->refused},
        {"rejected_commands_oom", m->refused_oom},
        {"protocol_errors", m->protocol_errors},
        {"client_output_buffer_limit_disconnections", m->output_cut},
        {"half_sent_commands_discarded", m->halves_shed},
        {"client_timeout_disconnections", m->timed_out},
        {"pubsub_channels", s->pubsub->subscriptions[PUBSUB_CHANNEL].names.count},
        {"pubsub_patterns", s->pubsub->subscriptions[PUBSUB_PATTERN].names.count},
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
        info_line(out, counters[i].name, "%llu", (unsigned long long)counters[i].value);
    info_line(out, "instantaneous_input_kbps", "%.2f",
              (double)metrics_per_second(&m->in_rate) / 1024);
    info_line(out, "instantaneous_output_kbps", "%.2f",
              (double)metrics_per_second(&m->out_rate) / 1024);
}

static void write_replication(const struct server *s, struct text *out) {
    (void)s;
    info_line(out, "role", "master");
    info_line(out, "connected_slaves", "0");
}

static void write_cpu(const struct server *s, struct text *out) {
    (void)s;
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    info_line(out, "used_cpu_sys", "%lld.%06lld", (long long)self.ru_stime.tv_sec,
              (long long)self.ru_stime.tv_usec);
    info_line(out, "used_cpu_user", "%lld.%06lld", (long long)self.ru_utime.tv_sec,
              (long long)self.ru_utime.tv_usec);
}

static void write_commandstats(const struct server *s, struct text *out) {
    (void)s;
    command_write_stats(out);
}

static void write_keyspace(const struct server *s, struct text *out) {
    struct store_stats stats;
    store_stats(s->store, &stats);
    if (!stats.partitions) return;
    info_line(out, "db0", "keys=%llu,expires=0,avg_ttl=0", (unsigned long long)stats.partitions);
    info_line(out, "samples", "%llu", (unsigned long long)stats.samples);
}

void info_register_sections(void) {
    static const struct info_section sections[] = {
        {"server", false, write_server},     {"clients", false, write_clients},
        {"memory", false, write_memory},     {"persistence", false, persistence_write_info},
        {"stats", false, write_stats},       {"replication", false, write_replication},
        {"cpu", false, write_cpu},           {"commandstats", true, write_commandstats},
        {"keyspace", false, write_keyspace}, {NULL, false, NULL},
    };
    info_register(sections);
}
