/* The options of persistence.h. */
#include <string.h>

#include "base/number.h"
#include "persist/oplog.h"
#include "server/appendonly.h"
#include "server/config.h"
#include "server/config_value.h"
#include "server/server.h"

static int apply_appendfsync(void *context, struct error *e) {
    (void)e;
    struct server *s = context;
    struct persistence *p = &s->persistence;
    struct oplog *log = p->log ? p->log : p->begun;
    if (log) oplog_set_sync(log, (enum oplog_sync)p->appendfsync);
    return 0;
}

/* Names of files stand in `dir`, wherever that is. */
static int check_name(const char *name, struct error *e) {
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return error_set(e, ERROR_ERR, "expected a name without a path");
    return 0;
}

static int apply_dump_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.dump_name, e);
}

static int apply_checkpoint_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.checkpoint_name, e);
}

static int apply_log_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.log_name, e);
}

/* "3600 1 300 100": pairs of seconds and changes. */
static int apply_save(void *context, struct error *e) {
    struct persistence *p = &((struct server *)context)->persistence;
    struct config_words words;
    int failed = config_split(span_of_string(p->save_words), CONFIG_WORD, &words, e);
    if (failed) return failed;
    struct save_rule rules[SAVE_RULES_MAX];
    size_t n = words.n / 2;
    if (words.n == 1 && words.words[0].len == 0) words.n = n = 0;
    if (words.n % 2 || n > SAVE_RULES_MAX)
        failed = error_set(e, ERROR_ERR, "expected up to %d pairs of seconds and changes",
                           SAVE_RULES_MAX);
    for (size_t i = 0; !failed && i < n; i++)
        if (!number_parse_i64(words.words[2 * i], &rules[i].seconds) || rules[i].seconds < 1 ||
            !number_parse_i64(words.words[2 * i + 1], &rules[i].changes) || rules[i].changes < 0)
            failed = error_set(e, ERROR_ERR, "expected pairs of seconds and changes, got %s %s",
                               QUOTE(words.words[2 * i]), QUOTE(words.words[2 * i + 1]));
    config_words_free(&words);
    if (failed) return failed;
    if (n && p->started) failed = persistence_own(context, e);
    if (failed) return failed;
    memcpy(p->rules, rules, n * sizeof(*rules));
    p->n_rules = n;
    return 0;
}

void persistence_register_options(struct server *s) {
    static const struct config_choice syncs[] = {
        {"always", OPLOG_ALWAYS}, {"everysec", OPLOG_EVERYSEC}, {"no", OPLOG_NO}, {NULL, 0}};
    struct persistence *p = &s->persistence;
    const struct config_option options[] = {
        {.name = "dir",
         .kind = CONFIG_STRING,
         .value = &p->directory,
         .fixed = true,
         .summary = "the directory of what is kept on disk",
         .fallback = "."},
        {.name = "appendonly",
         .kind = CONFIG_BOOL,
         .value = &p->appendonly,
         .summary = "keep an op log: what is acknowledged outlives the process",
         .fallback = "no",
         .apply = appendonly_apply,
         .context = s},
        {.name = "appendfsync",
         .kind = CONFIG_ENUM,
         .value = &p->appendfsync,
         .choices = syncs,
         .summary = "when the log is synced: always, everysec or no",
         .fallback = "everysec",
         .apply = apply_appendfsync,
         .context = s},
        {.name = "appenddirname",
         .kind = CONFIG_STRING,
         .value = &p->log_name,
         .fixed = true,
         .summary = "the log's directory, in dir",
         .fallback = "appendonlydir",
         .apply = apply_log_name,
         .context = s},
        {.name = "auto-aof-rewrite-percentage",
         .kind = CONFIG_INTEGER,
         .value = &p->rewrite_percentage,
         .summary = "renew the log's base when it has grown by so much; 0: never by itself",
         .fallback = "100",
         .min = 0,
         .max = 1000000},
        {.name = "auto-aof-rewrite-min-size",
         .kind = CONFIG_MEMORY,
         .value = &p->rewrite_min_size,
         .summary = "but not before it is of this size",
         .fallback = "64mb",
         .min = 0,
         .max = INT64_MAX},
        {.name = "dbfilename",
         .kind = CONFIG_STRING,
         .value = &p->dump_name,
         .fixed = true,
         .summary = "the snapshot of SAVE and BGSAVE, in dir",
         .fallback = "dump.tqs",
         .apply = apply_dump_name,
         .context = s},
        {.name = "checkpointdirname",
         .kind = CONFIG_STRING,
         .value = &p->checkpoint_name,
         .fixed = true,
         .summary = "the directory of checkpoints, in dir",
         .fallback = "checkpoints",
         .apply = apply_checkpoint_name,
         .context = s},
        {.name = "save",
         .kind = CONFIG_WORDS,
         .value = &p->save_words,
         .summary =
             "pairs: after so many seconds, if so many samples changed, BGSAVE; empty: never",
         .fallback = "",
         .apply = apply_save,
         .context = s},
        {.name = "stop-writes-on-bgsave-error",
         .kind = CONFIG_BOOL,
         .value = &p->stop_on_save_error,
         .summary = "with save rules: refuse writes while the last snapshot failed",
         .fallback = "yes"},
        {.name = NULL},
    };
    config_register(s->config, options);
}
