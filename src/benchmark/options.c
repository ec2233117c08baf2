/* See options.h. */
#include "benchmark/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "benchmark/peer.h"
#include "benchmark/units.h"

static const char *const scenario_names[SCENARIOS] = {
    "mput", "mget",    "put",     "get",  "sample", "sample-rows",  "sample-keys",
    "ping", "put-one", "get-one", "wake", "memory", "memory-small", "sweep",
};

const char *options_scenario_name(enum scenario s) {
    return scenario_names[s];
}

/* ---- values -------------------------------------------------------------------------------- */

static int wrong(struct error *e, const char *option, const char *value, const char *expected) {
    return error_set(e, ERROR_ERR, "%s takes %s, not '%s'", option, expected, value);
}

/* A number in [min, max], perhaps with k, m, kb, … */
static int read_number(const char *option, const char *text, uint64_t min, uint64_t max,
                       uint64_t *out, struct error *e) {
    char range[80];
    if (!units_parse_bytes(span_of_string(text), out) && *out >= min && *out <= max) return 0;
    snprintf(range, sizeof(range), "a number from %llu to %llu", (unsigned long long)min,
             (unsigned long long)max);
    return wrong(e, option, text, range);
}

/* Call `each` for the words between commas. */
static int read_list(const char *option, const char *text, struct options *o,
                     int (*each)(struct options *o, const char *option, const char *word,
                                 struct error *e),
                     struct error *e) {
    char word[64];
    const char *at = text;
    for (;;) {
        size_t len = strcspn(at, ",");
        if (!len || len >= sizeof(word)) return wrong(e, option, text, "words between commas");
        memcpy(word, at, len);
        word[len] = 0;
        int failed = each(o, option, word, e);
        if (failed || !at[len]) return failed;
        at += len + 1;
    }
}

static int full(struct error *e, const char *option) {
    return error_set(e, ERROR_ERR, "%s takes %d words at most", option, OPTIONS_LIST_MAX);
}

static int add_scenario(struct options *o, const char *option, const char *word, struct error *e) {
    for (int i = 0; i < SCENARIOS; i++) {
        if (strcmp(word, scenario_names[i])) continue;
        if (o->n_scenarios == OPTIONS_LIST_MAX) return full(e, option);
        o->scenarios[o->n_scenarios++] = (enum scenario)i;
        return 0;
    }
    return error_set(e, ERROR_ERR, "there is no scenario '%s'; --help lists them", word);
}

static int add_mix(struct options *o, const char *option, const char *word, struct error *e) {
    for (int i = 0; i < BATCH_MIXES; i++) {
        if (strcmp(word, batch_mix_name((enum batch_mix)i))) continue;
        if (o->n_mixes == BATCH_MIXES) return full(e, option);
        o->mixes[o->n_mixes++] = (enum batch_mix)i;
        return 0;
    }
    return wrong(e, option, word, "dense, ragged, str, bytes or complex");
}

static int add_transport(struct options *o, const char *option, const char *word, struct error *e) {
    bool is_unix = !strcmp(word, "unix");
    if (!is_unix && strcmp(word, "tcp")) return wrong(e, option, word, "tcp or unix");
    o->transports[is_unix ? LINK_UNIX : LINK_TCP] = true;
    return 0;
}

static int add_partition(struct options *o, const char *option, const char *word, struct error *e) {
    if (o->n_partitions == OPTIONS_LIST_MAX) return full(e, option);
    int failed = read_number(option, word, 1, 999999999, &o->partitions[o->n_partitions], e);
    if (!failed) o->n_partitions++;
    return failed;
}

static int add_size(struct options *o, const char *option, const char *word, struct error *e) {
    unsigned long samples, fields, items;
    int used = 0;
    if (o->n_sizes == OPTIONS_LIST_MAX) return full(e, option);
    if (sscanf(word, "%8lux%8lux%8lu%n", &samples, &fields, &items, &used) != 3 || word[used] ||
        !samples || samples > BATCH_SAMPLES_MAX || !fields || fields > BATCH_FIELDS_MAX || !items ||
        items > (1 << 28))
        return wrong(e, option, word, "sizes such as 1024x9x8192");
    o->sizes[o->n_sizes++] = (struct options_size){samples, fields, items * 4};
    return 0;
}

/* ---- options ------------------------------------------------------------------------------- */

struct reading {
    struct options *o;
    bool host, port, path, server;
};

static int read_text(const char *option, const char *value, char *out, size_t size,
                     struct error *e) {
    if (*value && strlen(value) < size) {
        strcpy(out, value);
        return 0;
    }
    return wrong(e, option, value, "a name that is not empty nor too long");
}

/* Options with a value. -1: no such option. */
static int read_valued(struct reading *r, const char *option, const char *value, struct error *e) {
    struct options *o = r->o;
    uint64_t n = 0;
    int failed;
#define IS(name) (!strcmp(option, name))
    if (IS("-h")) {
        r->host = true;
        return read_text(option, value, o->address.host, sizeof(o->address.host), e);
    }
    if (IS("-p")) {
        r->port = true;
        failed = read_number(option, value, 1, 65535, &n, e);
        o->address.port = (int)n;
        return failed;
    }
    if (IS("-s")) {
        r->path = true;
        return read_text(option, value, o->address.path, sizeof(o->address.path), e);
    }
    if (IS("--server")) {
        r->server = true;
        return read_text(option, value, o->server, sizeof(o->server), e);
    }
    if (IS("-t")) return read_list(option, value, o, add_scenario, e);
    if (IS("--mix")) return read_list(option, value, o, add_mix, e);
    if (IS("--transport")) return read_list(option, value, o, add_transport, e);
    if (IS("--partitions")) return read_list(option, value, o, add_partition, e);
    if (IS("--sizes")) return read_list(option, value, o, add_size, e);
    if (IS("-b") || IS("-f")) {
        bool samples = IS("-b");
        failed =
            read_number(option, value, 1, samples ? BATCH_SAMPLES_MAX : BATCH_FIELDS_MAX, &n, e);
        *(samples ? &o->samples : &o->fields) = n;
        return failed;
    }
    if (IS("-d")) return read_number(option, value, 1, 1 << 30, &o->value_bytes, e);
    if (IS("-c")) return read_number(option, value, 1, 100000, &o->connections, e);
    if (IS("-n")) return read_number(option, value, 1, 1000000000, &o->requests, e);
    if (IS("-P")) return read_number(option, value, 1, 10000, &o->pipeline, e);
    if (IS("--rounds")) {
        o->rounds_given = true;
        return read_number(option, value, 1, 1000, &o->rounds, e);
    }
    if (IS("--socket-buffer")) return read_number(option, value, 0, 1 << 30, &o->buffer, e);
    if (IS("--dir")) {
        o->directory = value;
        return *value ? 0 : wrong(e, option, value, "a directory");
    }
    if (IS("--plot")) {
        o->plot = value;
        return *value ? 0 : wrong(e, option, value, "a file's name");
    }
    return -1;
}

/* Options that stand alone. */
static bool read_flag(struct options *o, const char *option) {
    if (IS("--cold")) return o->cold = true;
    if (IS("--warm")) return o->warm = true;
    if (IS("--compare")) return o->compare = true;
    if (IS("-q"))
        o->form = REPORT_QUIET;
    else if (IS("--json"))
        o->form = REPORT_JSON;
    else if (IS("--csv"))
        o->form = REPORT_CSV;
    else
        return false;
    return true;
#undef IS
}

static bool has_scenario(const struct options *o, enum scenario s) {
    for (size_t i = 0; i < o->n_scenarios; i++)
        if (o->scenarios[i] == s) return true;
    return false;
}

static void fill_defaults(struct options *o) {
    static const enum scenario usual[] = {SCENARIO_MPUT, SCENARIO_MGET,    SCENARIO_PUT,
                                          SCENARIO_GET,  SCENARIO_SAMPLE,  SCENARIO_SAMPLE_KEYS,
                                          SCENARIO_PING, SCENARIO_PUT_ONE, SCENARIO_GET_ONE};
    if (!o->n_scenarios && o->plot) o->scenarios[o->n_scenarios++] = SCENARIO_SWEEP;
    if (!o->n_scenarios) {
        o->n_scenarios = sizeof(usual) / sizeof(*usual);
        memcpy(o->scenarios, usual, sizeof(usual));
    }
    if (!o->n_mixes) o->mixes[o->n_mixes++] = BATCH_MIX_DENSE;
    if (!o->cold) o->warm = true;
}

/* The tq-server that was built or installed with this program. */
static bool find_own_server(struct options *o) {
    char self[LINK_HOST_MAX * 4 - 16];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len > 0) {
        self[len] = 0;
        char *slash = strrchr(self, '/');
        if (slash) *slash = 0;
        snprintf(o->server, sizeof(o->server), "%s/tq-server", self);
        if (peer_find_program(o->server, o->server, sizeof(o->server))) return true;
    }
    return peer_find_program("tq-server", o->server, sizeof(o->server));
}

static int find_server(struct reading *r, struct error *e) {
    struct options *o = r->o;
    bool running = r->host || r->port || r->path, any = o->transports[0] || o->transports[1];
    if (running && r->server)
        return error_set(e, ERROR_ERR,
                         "--server starts a server: it does not go with -h, -p or -s");
    if (running && *o->server_arguments)
        return error_set(e, ERROR_ERR, "options after -- are for a server that is started here");
    o->own_server = !running;
    if (!running) {
        if (!any) o->transports[LINK_TCP] = true;
        if (r->server ? peer_find_program(o->server, o->server, sizeof(o->server))
                      : find_own_server(o))
            return 0;
        return error_set(e, ERROR_ERR,
                         "there is no program %s; say where with --server, or which "
                         "running one to measure with -h, -p or -s",
                         r->server ? o->server : "tq-server");
    }
    if (r->path && !r->host && !r->port) o->address.port = 0;
    if (!any) o->transports[r->path ? LINK_UNIX : LINK_TCP] = true;
    if (o->transports[LINK_TCP] && !o->address.port)
        return error_set(e, ERROR_ERR, "--transport tcp needs -h or -p beside -s");
    if (o->transports[LINK_UNIX] && !r->path)
        return error_set(e, ERROR_ERR, "--transport unix needs -s");
    return 0;
}

static int check(struct reading *r, struct error *e) {
    struct options *o = r->o;
    fill_defaults(o);
    int failed = find_server(r, e);
    if (failed) return failed;
    if (o->plot && !has_scenario(o, SCENARIO_SWEEP))
        return error_set(e, ERROR_ERR, "--plot draws the sweep: it needs -t sweep");
    if (!o->own_server && o->cold)
        return error_set(e, ERROR_ERR,
                         "--cold needs a server that is started here: without -h, -p, -s");
    if (!o->own_server &&
        (has_scenario(o, SCENARIO_MEMORY) || has_scenario(o, SCENARIO_MEMORY_SMALL)))
        return error_set(e, ERROR_ERR,
                         "memory scenarios need a server that is started here: without -h, -p, -s");
    if (!o->own_server && o->directory)
        return error_set(e, ERROR_ERR,
                         "--dir is for a server that is started here: without -h, -p, -s");
    if (o->compare && !o->own_server && !link_is_local(&o->address))
        return error_set(e, ERROR_ERR, "--compare needs a server on this machine");
    return 0;
}

enum options_outcome options_read(struct options *o, int argc, char **argv, struct error *e) {
    static char *const none[] = {NULL};
    struct reading r = {.o = o};
    *o = (struct options){.address = {.host = "127.0.0.1", .port = 6399},
                          .server_arguments = none,
                          .samples = 1024,
                          .fields = 9,
                          .rounds = 5,
                          .buffer = 4 << 20};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) return OPTIONS_HELP;
        if (!strcmp(argv[i], "--version")) return OPTIONS_VERSION;
        if (!strcmp(argv[i], "--")) {
            o->server_arguments = argv + i + 1;
            break;
        }
        if (read_flag(o, argv[i])) continue;
        int failed = read_valued(&r, argv[i], i + 1 < argc ? argv[i + 1] : "", e);
        if (failed < 0)
            error_set(e, ERROR_ERR, "unknown option '%s'", argv[i]);
        else if (i + 1 == argc)
            failed = error_set(e, ERROR_ERR, "%s needs a value", argv[i]);
        if (failed) return OPTIONS_WRONG;
        i++;
    }
    return check(&r, e) ? OPTIONS_WRONG : OPTIONS_RUN;
}
