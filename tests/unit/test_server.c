/* The server module where it can be tested without a server: options and their file, the command
 * table, hash table, INFO's text. The rest is tested over the wire (tests/tcl). */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "kit/source.h"
#include "server/command.h"
#include "server/config.h"
#include "server/config_value.h"
#include "server/info.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/table.h"
#include "server/thresholds.h"

/* ---- options ------------------------------------------------------------------------------ */

struct settings {
    bool flag;
    int64_t number, size, mode;
    int level;
    char *name, *words;
    int applied;
    const char *refuse; /* apply says no to this name */
};

static int apply_name(void *context, struct error *e) {
    struct settings *set = context;
    set->applied++;
    if (set->refuse && !strcmp(set->name, set->refuse))
        return error_set(e, ERROR_ERR, "not this one");
    return 0;
}

static struct config *open_config(struct settings *set) {
    static const struct config_choice levels[] = {{"low", 1}, {"high", 7}, {NULL, 0}};
    const struct config_option options[] = {
        {.name = "flag", .kind = CONFIG_BOOL, .value = &set->flag, .fallback = "yes"},
        {.name = "number",
         .kind = CONFIG_INTEGER,
         .value = &set->number,
         .fallback = "5",
         .min = -3,
         .max = 100},
        {.name = "size",
         .kind = CONFIG_MEMORY,
         .value = &set->size,
         .fallback = "64kb",
         .max = INT64_MAX},
        {.name = "mode", .kind = CONFIG_OCTAL, .value = &set->mode, .fallback = "700", .max = 0777},
        {.name = "level",
         .kind = CONFIG_ENUM,
         .value = &set->level,
         .choices = levels,
         .fallback = "low"},
        {.name = "name",
         .kind = CONFIG_STRING,
         .value = &set->name,
         .fallback = "",
         .apply = apply_name,
         .context = set},
        {.name = "words",
         .kind = CONFIG_WORDS,
         .value = &set->words,
         .fallback = "a b",
         .fixed = true},
        {0}};
    struct config *c = config_new();
    config_register(c, options);
    return c;
}

static int load_text(struct config *c, const char *text, size_t len, struct error *e) {
    FILE *stream = len ? fmemopen((void *)text, len, "r") : fopen("/dev/null", "r");
    assert_non_null(stream);
    int failed = config_load_stream(c, stream, "my.conf", e);
    fclose(stream);
    return failed;
}

#define LOAD(c, literal, e) load_text((c), (literal), sizeof(literal) - 1, (e))

static void test_defaults(void **state) {
    (void)state;
    struct settings set = {0};
    struct config *c = open_config(&set);
    assert_true(set.flag);
    assert_int_equal(set.number, 5);
    assert_int_equal(set.size, 65536);
    assert_int_equal(set.mode, 0700);
    assert_int_equal(set.level, 1);
    assert_string_equal(set.name, "");
    assert_string_equal(set.words, "a b");
    assert_int_equal(set.applied, 1);
    config_free(c);
}

static void test_file(void **state) {
    (void)state;
    struct settings set = {0};
    struct error e;
    struct config *c = open_config(&set);
    assert_int_equal(LOAD(c,
                          "# a comment\n\n   # another\nNUMBER\t -3 \r\n"
                          "  size 2MB\nlevel HIGH\nflag no\nmode 17\n"
                          "name \"a \\\"b\\\"\\x41\\n\"\nwords x   y z\nnumber 7",
                          &e),
                     0);
    assert_int_equal(set.number, 7);
    assert_int_equal(set.size, 2 * 1024 * 1024);
    assert_int_equal(set.level, 7);
    assert_false(set.flag);
    assert_int_equal(set.mode, 017);
    assert_string_equal(set.name, "a \"b\"A\n");
    assert_string_equal(set.words, "x y z");
    assert_int_equal(LOAD(c, "name 'it\\'s \\n'\n", &e), 0);
    assert_string_equal(set.name, "it's \\n");
    assert_int_equal(LOAD(c, "", &e), 0);
    config_free(c);
}

/* Line 3 is wrong: the message says where and about what, and the value stays. */
static void test_file_refusals(void **state) {
    (void)state;
    static const struct {
        const char *line, *said;
    } wrong[] = {
        {"nosuch 5", "'nosuch'"},
        {"number", "number"},
        {"number 1 2", "number"},
        {"number 101", "between -3 and 100"},
        {"number -4", "between -3 and"},
        {"number 1.5", "'1.5'"},
        {"number \"\"", "number"},
        {"number 99999999999999999999", "number"},
        {"size 1tb", "'1tb'"},
        {"size kb", "'kb'"},
        {"size -1", "'-1'"},
        {"size 9999999999gb", "size"},
        {"mode 8", "octal"},
        {"mode 1000", "mode"},
        {"level medium", "low, high"},
        {"flag maybe", "'yes' or 'no'"},
        {"name \"abc", "unbalanced"},
        {"name 'abc", "unbalanced"},
        {"name \"a\"b", "unbalanced"},
        {"words \"a b\"c", "unbalanced"},
        {"words a\\b", "words"},
        {"\"\" 1", "unknown option"},
        {"name a\\", ""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct settings set = {0};
        struct error e = {0};
        struct config *c = open_config(&set);
        char text[200];
        int n = snprintf(text, sizeof(text), "# one\n\n%s\nnumber 9\n", wrong[i].line);
        int failed = load_text(c, text, (size_t)n, &e);
        if (!*wrong[i].said) {
            assert_int_equal(failed, 0);
            config_free(c);
            continue;
        }
        assert_int_not_equal(failed, 0);
        if (!strstr(e.text, "my.conf:3: ") || !strstr(e.text, wrong[i].said))
            fail_msg("'%s' is refused with: %s", wrong[i].line, e.text);
        assert_int_equal(set.number, 5);
        config_free(c);
    }
}

static void test_file_hostile(void **state) {
    (void)state;
    struct settings set = {0};
    struct error e;
    struct config *c = open_config(&set);
    assert_int_not_equal(LOAD(c, "number 1\0 2\n", &e), 0);
    assert_non_null(strstr(e.text, "NUL"));
    uint64_t seed = 1;
    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        char text[64];
        size_t len = 0;
        while (len < sizeof(text) && (seed >> 60) != 3) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            text[len++] = "name \"'\\x41#\n\t\0nbrs\xff"[(seed >> 33) % 20];
        }
        seed++;
        load_text(c, text, len, &e); /* the sanitizers are the judges */
    }
    assert_int_not_equal(config_load_file(c, "/nosuch/file", &e), 0);
    assert_non_null(strstr(e.text, "/nosuch/file"));
    assert_int_not_equal(config_load_file(c, "/", &e), 0);
    config_free(c);
}

static void test_command_line(void **state) {
    (void)state;
    struct settings set = {0};
    struct error e;
    struct config *c = open_config(&set);
    char *good[] = {"--number", "-1", "--words", "p", "q", "--name", "x y", "--flag", "no"};
    assert_int_equal(config_load_words(c, 9, good, &e), 0);
    assert_int_equal(set.number, -1);
    assert_string_equal(set.words, "p q");
    assert_string_equal(set.name, "x y");
    assert_false(set.flag);
    char *as_one[] = {"--words", "r  s"};
    assert_int_equal(config_load_words(c, 2, as_one, &e), 0);
    assert_string_equal(set.words, "r s");
    char *stray[] = {"number", "1"}, *unknown[] = {"--nosuch"}, *none[] = {"--number", "--flag"};
    assert_int_not_equal(config_load_words(c, 2, stray, &e), 0);
    assert_int_not_equal(config_load_words(c, 1, unknown, &e), 0);
    assert_non_null(strstr(e.text, "nosuch"));
    assert_int_not_equal(config_load_words(c, 2, none, &e), 0);
    assert_non_null(strstr(e.text, "number"));
    assert_int_equal(config_load_words(c, 0, NULL, &e), 0);
    config_free(c);
}

#define S(literal) SPAN_LITERAL(literal)

static void test_set_is_all_or_nothing(void **state) {
    (void)state;
    struct settings set = {0};
    struct error e;
    struct span culprit;
    struct config *c = open_config(&set);
    struct span names[] = {S("number"), S("NAME"), S("size")};
    struct span good[] = {S("8"), S("new"), S("1kb")};
    assert_int_equal(config_set(c, 3, names, good, &culprit, &e), 0);
    assert_int_equal(set.number, 8);
    assert_string_equal(set.name, "new");

    struct span bad[] = {S("9"), S("newer"), S("lots")};
    assert_int_not_equal(config_set(c, 3, names, bad, &culprit, &e), 0);
    assert_true(span_equal(culprit, S("size")));
    assert_int_equal(set.number, 8);
    assert_string_equal(set.name, "new");
    assert_int_equal(set.size, 1024);

    set.refuse = "no";
    struct span refused[] = {S("9"), S("no"), S("2kb")};
    int before = set.applied;
    assert_int_not_equal(config_set(c, 3, names, refused, &culprit, &e), 0);
    assert_true(span_equal(culprit, S("NAME")));
    assert_string_equal(set.name, "new");
    assert_int_equal(set.applied, before + 2); /* with the new value, and with the old one again */
    assert_int_equal(set.number, 8);
    assert_int_equal(set.size, 1024);

    struct span twice[] = {S("number"), S("Number")}, fixed[] = {S("words")}, none[] = {S("")};
    assert_int_not_equal(config_set(c, 2, twice, good, &culprit, &e), 0);
    assert_int_not_equal(config_set(c, 1, fixed, good, &culprit, &e), 0);
    assert_string_equal(set.words, "a b");
    assert_int_not_equal(config_set(c, 1, none, good, &culprit, &e), 0);
    struct span nul[] = {span_of("a\0b", 3)}, name[] = {S("name")};
    assert_int_not_equal(config_set(c, 1, name, nul, &culprit, &e), 0);
    config_free(c);
}

/* What is formatted can be read again. */
static void test_format(void **state) {
    (void)state;
    struct settings set = {0};
    struct error e;
    struct config *c = open_config(&set);
    assert_int_equal(LOAD(c, "size 3mb\nmode 640\nlevel high\nwords l m\nname n\n", &e), 0);
    static const char *const expected[] = {"yes", "5", "3145728", "640", "high", "n", "l m"};
    size_t i = 0;
    for (const struct config_option *o = NULL; (o = config_next(c, o)); i++) {
        struct text text = {0};
        config_format(o, &text);
        assert_string_equal(text.ptr, expected[i]);
        text_free(&text);
    }
    assert_int_equal(i, sizeof(expected) / sizeof(*expected));
    config_free(c);
}

static void test_memory_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } sizes[] = {{"0", 0},         {"100", 100},       {"100b", 100},
                 {"2k", 2000},     {"2Kb", 2048},      {"3m", 3000000},
                 {"3MB", 3145728}, {"1g", 1000000000}, {"8589934591gb", 9223372035781033984},
                 {"", -1},         {"kb", -1},         {"1 kb", -1},
                 {"1.5gb", -1},    {"-1", -1},         {"8589934592gb", -1},
                 {"1kbb", -1},     {"0x10", -1},       {"9223372036854775808", -1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int64_t bytes = -1;
        bool good = config_parse_memory(span_of_string(sizes[i].text), &bytes);
        assert_int_equal(good, sizes[i].bytes >= 0);
        assert_int_equal(bytes, sizes[i].bytes);
    }
}

/* tq.conf is the documentation: it has every option, once, with its default. */
static void test_tq_conf_is_complete(void **state) {
    (void)state;
    static struct server server;
    struct error e;
    server_init(&server);
    char *before[64], path[1024];
    size_t n = 0;
    for (const struct config_option *o = NULL; (o = config_next(server.config, o)); n++) {
        struct text text = {0};
        config_format(o, &text);
        before[n] = text_take(&text);
    }
    const char *root = getenv("srcdir");
    snprintf(path, sizeof(path), "%s/tq.conf", root ? root : ".");
    if (config_load_file(server.config, path, &e)) fail_msg("%s", e.text);
    size_t i = 0;
    for (const struct config_option *o = NULL; (o = config_next(server.config, o)); i++) {
        struct text text = {0};
        config_format(o, &text);
        if (strcmp(text_span(&text).ptr, before[i]))
            fail_msg("%s is '%s' in tq.conf and '%s' by default", o->name, text.ptr, before[i]);
        text_free(&text);
        mem_free(before[i]);
        FILE *file = fopen(path, "r");
        char line[256];
        size_t found = 0, len = strlen(o->name);
        while (fgets(line, sizeof(line), file))
            found += !strncmp(line, o->name, len) && line[len] == ' ';
        fclose(file);
        if (found != 1) fail_msg("%s stands in tq.conf %zu times", o->name, found);
    }
    assert_true(i > 10);
    server_free(&server);
}

/* ---- commands ----------------------------------------------------------------------------- */

static void run_nothing(struct client *c) {
    (void)c;
}

static void test_command_table(void **state) {
    (void)state;
    static const struct command subs[] = {{.name = "one", .arity = 2, .run = run_nothing}, {0}};
    static const struct command table[] = {{.name = "test.first", .arity = 1, .run = run_nothing},
                                           {.name = "test.box", .arity = -2, .subcommands = subs},
                                           {0}};
    char name[COMMAND_NAME_MAX], longer[200];
    size_t before = command_count();
    command_register(table);
    assert_int_equal(command_count(), before + 2);
    assert_ptr_equal(command_find(S("test.first")), &table[0]);
    assert_ptr_equal(command_find(S("TEST.Box")), &table[1]);
    assert_null(command_find(S("test.firs")));
    assert_null(command_find(S("test.first ")));
    assert_null(command_find(S("")));
    memset(longer, 't', sizeof(longer));
    for (size_t n = 60; n < sizeof(longer); n++) assert_null(command_find(span_of(longer, n)));
    assert_string_equal(command_full_name(&table[1], &subs[0], name), "test.box|one");
    assert_string_equal(command_full_name(NULL, &table[0], name), "test.first");
    size_t walked = 0;
    for (const struct command *each = NULL; (each = command_next(each));) walked++;
    assert_int_equal(walked, command_count());
}

/* ---- the small parts ---------------------------------------------------------------------- */

struct thing {
    uint64_t number;
    struct table_link link;
};

static bool thing_is(const struct table_link *link, const void *key) {
    return TABLE_ENTRY(link, struct thing, link)->number == *(const uint64_t *)key;
}

/* Few hashes, so that chains are long. */
static uint64_t thing_hash(uint64_t number) {
    return number % 37;
}

static void test_table(void **state) {
    (void)state;
    enum { THINGS = 500 };
    static struct thing things[THINGS];
    static bool in[THINGS];
    struct table t = {0};
    uint64_t seed = 7, count = 0;
    for (uint64_t round = 0; round < test_rounds(20000); round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t i = (seed >> 33) % THINGS;
        things[i].number = i;
        struct table_link *found = table_find(&t, thing_hash(i), thing_is, &i);
        assert_ptr_equal(found, in[i] ? &things[i].link : NULL);
        if (in[i])
            table_remove(&t, &things[i].link);
        else
            table_add(&t, &things[i].link, thing_hash(i));
        count += in[i] ? -1 : 1;
        in[i] = !in[i];
        assert_int_equal(t.count, count);
    }
    table_free(&t);
}

static void write_section(const struct server *s, struct text *out) {
    (void)s;
    info_line(out, "field", "%d", 5);
    info_bytes(out, "bytes", 1536);
}

/* Random entries come, go and are reached; those that are reached are compared with a walk over
 * all. */
static void test_thresholds(void **state) {
    (void)state;
    enum { ENTRIES = 200, STEPS = 20000 };
    static struct threshold entries[ENTRIES];
    struct source s = source_of_seed(1);
    struct thresholds t = {0};
    assert_null(thresholds_pop(&t, UINT64_MAX));
    for (int step = 0; step < STEPS; step++) {
        struct threshold *entry = &entries[source_below(&s, ENTRIES)];
        uint64_t count = source_below(&s, 1000), lowest = UINT64_MAX;
        switch (source_below(&s, 4)) {
        case 0: thresholds_remove(&t, entry); break;
        case 1:
            for (size_t i = 0; i < ENTRIES; i++)
                if (entries[i].place && entries[i].value < lowest) lowest = entries[i].value;
            entry = thresholds_pop(&t, count);
            assert_true(entry ? entry->value == lowest : lowest > count);
            break;
        default:
            if (!entry->place) thresholds_add(&t, entry, count);
        }
        size_t n = 0;
        for (size_t i = 0; i < ENTRIES; i++) n += entries[i].place > 0;
        assert_int_equal(t.n, n);
    }
    thresholds_free(&t);
}

static void test_info(void **state) {
    (void)state;
    static const struct info_section table[] = {
        {"testing", false, write_section}, {"rare", true, write_section}, {0}};
    info_register(table);
    static const char body[] = "field:5\r\nbytes:1536\r\nbytes_human:1.50K\r\n";
    struct text out = {0};
    struct span names[] = {S("TESTING"), S("nosuch"), S("rare")};
    info_write(NULL, 2, names, &out);
    assert_true(span_equal(text_span(&out), span_of_string("# Testing\r\nfield:5\r\nbytes:1536\r\n"
                                                           "bytes_human:1.50K\r\n")));
    out.len = 0;
    info_write(NULL, 3, names, &out);
    assert_int_equal(out.len, strlen("# Testing\r\n\r\n# Rare\r\n") + 2 * strlen(body));
    out.len = 0;
    info_write(NULL, 1, &names[1], &out);
    assert_int_equal(out.len, 0);
    text_free(&out);
}

static void test_rates(void **state) {
    (void)state;
    struct metrics m = {0};
    for (int i = 1; i <= 2 * METRICS_SAMPLES; i++) {
        m.commands += 50;
        metrics_tick(&m, i * INT64_C(100000), (size_t)(100 - i));
    }
    assert_int_equal(metrics_per_second(&m.commands_rate), 500);
    assert_int_equal(m.memory_peak, 99);
    metrics_tick(&m, m.ticked_us, 0); /* no time went by */
    metrics_reset(&m);
    assert_int_equal(m.commands, 0);
    m.commands = 10;
    metrics_tick(&m, (2 * METRICS_SAMPLES + 1) * INT64_C(100000), 0);
    assert_int_equal(metrics_per_second(&m.commands_rate), 100 / METRICS_SAMPLES);
}

int main(void) {
    hash_init();
    log_set_level(LOG_WARNING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_refusals),
        cmocka_unit_test(test_file_hostile),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_set_is_all_or_nothing),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_memory_sizes),
        cmocka_unit_test(test_tq_conf_is_complete),
        cmocka_unit_test(test_command_table),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
