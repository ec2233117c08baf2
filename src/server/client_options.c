/* What an operator may set about connections. */
#include "base/mem.h"
#include "base/number.h"
#include "server/client.h"
#include "server/config.h"
#include "server/config_value.h"
#include "server/server.h"
#include "store/store.h"

#define MIB (INT64_C(1024) * 1024)

static int apply_limits(void *context, struct error *e) {
    (void)e;
    struct clients *clients = context;
    clients->limits.max_args = (size_t)clients->max_arguments;
    clients->limits.max_bulk = (size_t)clients->proto_max_bulk_len;
    clients->limits.max_total = (size_t)clients->query_buffer_limit;
    return 0;
}

/* While running, a number that the system refuses is an error; at the start it is lowered. */
static int apply_maxclients(void *context, struct error *e) {
    struct server *s = context;
    if (!s->base) return 0;
    int64_t wanted = s->clients->maxclients;
    int failed = clients_raise_descriptors(s, e);
    if (!failed && s->clients->maxclients < wanted)
        failed = error_set(e, ERROR_ERR, "the system allows %lld clients at most (ulimit -n)",
                           (long long)s->clients->maxclients);
    return failed;
}

static const char *const class_names[CLIENT_CLASSES] = {
    [CLIENT_NORMAL] = "normal", [CLIENT_PUBSUB] = "pubsub"};

static int parse_output_limit(const struct span *words, struct client_output_limit *limits) {
    int64_t hard, soft, seconds;
    size_t kind = 0;
    while (kind < CLIENT_CLASSES && !span_is(words[0], class_names[kind])) kind++;
    if (kind == CLIENT_CLASSES) return ERROR_ERR;
    if (!config_parse_memory(words[1], &hard)) return ERROR_ERR;
    if (!config_parse_memory(words[2], &soft)) return ERROR_ERR;
    if (!number_parse_i64(words[3], &seconds)) return ERROR_ERR;
    if (seconds < 0 || seconds > INT32_MAX) return ERROR_ERR;
    limits[kind] = (struct client_output_limit){(size_t)hard, (size_t)soft, seconds};
    return 0;
}

/* `CLASS HARD SOFT SECONDS`, as Redis writes it, once or for several classes in a row. */
static int parse_output_limits(const struct config_words *words,
                               struct client_output_limit *limits) {
    if (!words->n || words->n % 4) return ERROR_ERR;
    for (size_t i = 0; i < words->n; i += 4) {
        int failed = parse_output_limit(words->words + i, limits);
        if (failed) return failed;
    }
    return 0;
}

/* What was set names some classes; the option shows all. In bytes, as CONFIG GET shows every
 * size. */
static void print_output_limits(struct clients *clients) {
    struct text out = {0};
    for (size_t kind = 0; kind < CLIENT_CLASSES; kind++) {
        const struct client_output_limit *limit = &clients->output_limits[kind];
        text_printf(&out, "%s%s %zu %zu %lld", kind ? " " : "", class_names[kind], limit->hard,
                    limit->soft, (long long)limit->soft_seconds);
    }
    mem_free(clients->output_limit_words);
    clients->output_limit_words = text_take(&out);
}

static int apply_output_limit(void *context, struct error *e) {
    struct clients *clients = context;
    struct client_output_limit limits[CLIENT_CLASSES];
    memcpy(limits, clients->output_limits, sizeof(limits));
    struct config_words words;
    int failed = config_split(span_of_string(clients->output_limit_words), CONFIG_WORD, &words, e);
    if (!failed && parse_output_limits(&words, limits))
        failed = error_set(e, ERROR_ERR,
                           "argument must be 'CLASS HARD SOFT SECONDS', CLASS being normal or "
                           "pubsub, such as 'normal 4gb 1gb 60'");
    config_words_free(&words);
    if (failed) return failed;
    memcpy(clients->output_limits, limits, sizeof(limits));
    print_output_limits(clients);
    return 0;
}

static int apply_output_pause(void *context, struct error *e) {
    struct clients *clients = context;
    struct config_words words;
    int64_t high, low;
    int failed = config_split(span_of_string(clients->output_pause_words), CONFIG_WORD, &words, e);
    if (!failed && (words.n != 2 || !config_parse_memory(words.words[0], &high) ||
                    !config_parse_memory(words.words[1], &low) || low < 0 || high < low || !high))
        failed = error_set(
            e, ERROR_ERR, "argument must be 'HIGH LOW' with HIGH not below LOW, such as '8mb 2mb'");
    config_words_free(&words);
    if (failed) return failed;
    clients->pause_high = (size_t)high;
    clients->pause_low = (size_t)low;
    struct text limits = {0};
    text_printf(&limits, "%zu %zu", clients->pause_high, clients->pause_low);
    mem_free(clients->output_pause_words);
    clients->output_pause_words = text_take(&limits);
    return 0;
}

static void register_connection_options(struct server *s) {
    struct clients *k = s->clients;
    const struct config_option options[] = {
        {.name = "maxclients",
         .kind = CONFIG_INTEGER,
         .value = &k->maxclients,
         .summary = "how many clients may be connected at once",
         .fallback = "10000",
         .min = 1,
         .max = 1000000,
         .apply = apply_maxclients,
         .context = s},
        {.name = "timeout",
         .kind = CONFIG_INTEGER,
         .value = &k->timeout,
         .summary = "close a client that is idle for this many seconds; 0: never",
         .fallback = "0",
         .min = 0,
         .max = INT32_MAX},
        {.name = "client-request-timeout",
         .kind = CONFIG_INTEGER,
         .value = &k->request_timeout,
         .summary = "close a client that sent half a command and nothing more for this many "
                    "seconds; 0: never",
         .fallback = "60",
         .min = 0,
         .max = INT32_MAX},
        {.name = "tcp-keepalive",
         .kind = CONFIG_INTEGER,
         .value = &k->tcp_keepalive,
         .summary = "probe the other end after this many idle seconds; 0: never",
         .fallback = "300",
         .min = 0,
         .max = 32767},
        {.name = NULL},
    };
    config_register(s->config, options);
}

static void register_limits(struct server *s) {
    struct clients *k = s->clients;
    const struct config_option options[] = {
        {.name = "proto-max-bulk-len",
         .kind = CONFIG_MEMORY,
         .value = &k->proto_max_bulk_len,
         .summary = "the longest single argument",
         .fallback = "512mb",
         .min = 1 * MIB,
         .max = ARENA_CHUNK_MAX,
         .apply = apply_limits,
         .context = k},
        {.name = "max-arguments",
         .kind = CONFIG_INTEGER,
         .value = &k->max_arguments,
         .summary = "the most arguments that one command may have",
         .fallback = "1048576",
         .min = 1024,
         .max = 16 * MIB,
         .apply = apply_limits,
         .context = k},
        {.name = "client-query-buffer-limit",
         .kind = CONFIG_MEMORY,
         .value = &k->query_buffer_limit,
         .summary = "the most bytes that the arguments of one command may have together",
         .fallback = "1gb",
         .min = 1 * MIB,
         .max = INT64_MAX,
         .apply = apply_limits,
         .context = k},
        {.name = "client-output-pause",
         .kind = CONFIG_WORDS,
         .value = &k->output_pause_words,
         .summary = "HIGH LOW: with more output waiting a client is not read from until less does",
         .fallback = "8mb 2mb",
         .apply = apply_output_pause,
         .context = k},
        {.name = "client-output-buffer-limit",
         .kind = CONFIG_WORDS,
         .value = &k->output_limit_words,
         .summary = "CLASS HARD SOFT SECONDS: when a client that does not read is closed",
         .fallback = "normal 4gb 1gb 60 pubsub 32mb 8mb 60",
         .apply = apply_output_limit,
         .context = k},
        {.name = NULL},
    };
    config_register(s->config, options);
}

void clients_register_options(struct server *s) {
    register_connection_options(s);
    register_limits(s);
}
