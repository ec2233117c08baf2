/* What an operator may set about connections. */
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
    int code = clients_raise_descriptors(s, e);
    if (!code && s->clients->maxclients < wanted)
        code = error_set(e, ERROR_ERR, "the system allows %lld clients at most (ulimit -n)",
                         (long long)s->clients->maxclients);
    return code;
}

/* `normal HARD SOFT SECONDS`, as Redis writes it; normal is the one class of clients. */
static int parse_output_limit(struct clients *clients, const struct config_words *words) {
    int64_t hard, soft, seconds;
    if (words->n != 4 || !span_is(words->words[0], "normal")) return ERROR_ERR;
    if (!config_parse_memory(words->words[1], &hard)) return ERROR_ERR;
    if (!config_parse_memory(words->words[2], &soft)) return ERROR_ERR;
    if (!number_parse_i64(words->words[3], &seconds)) return ERROR_ERR;
    if (seconds < 0 || seconds > INT32_MAX) return ERROR_ERR;
    clients->output_hard = (size_t)hard;
    clients->output_soft = (size_t)soft;
    clients->output_soft_seconds = seconds;
    return 0;
}

static int apply_output_limit(void *context, struct error *e) {
    struct clients *clients = context;
    struct config_words words;
    int code = config_split(span_of_string(clients->output_limit_words), &words, e);
    if (!code && parse_output_limit(clients, &words))
        code = error_set(e, ERROR_ERR,
                         "argument must be 'normal HARD SOFT SECONDS', such as "
                         "'normal 4gb 1gb 60'");
    config_words_free(&words);
    return code;
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
        {.name = "client-output-buffer-limit",
         .kind = CONFIG_WORDS,
         .value = &k->output_limit_words,
         .summary = "normal HARD SOFT SECONDS: when a client that does not read is closed",
         .fallback = "normal 4gb 1gb 60",
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
