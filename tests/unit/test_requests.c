/* The request writer: what it writes, what it takes by reference, and that the request parser reads
 * from it what was meant, for every command of the command table, in pieces of any size. */
#include "kit/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/nearest.h"
#include "cmd/cmd.h"
#include "kit/source.h"
#include "request/args.h"
#include "server/command.h"
#include "wire/request_writer.h"
#include "wire/resp.h"

static char *flatten(struct request_writer *w) {
    size_t n, at = 0;
    const struct iovec *iov = request_writer_iov(w, &n);
    char *out = malloc(w->bytes + 1);
    for (size_t i = 0; i < n; i++) {
        memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, w->bytes);
    out[at] = '\0';
    return out;
}

static void check_text(struct request_writer *w, const char *expected) {
    char *text = flatten(w);
    assert_string_equal(text, expected);
    free(text);
}

static void test_writes_arrays_of_bulks(void **state) {
    (void)state;
    const struct span argv[] = {SPAN_LITERAL("GET"), SPAN_LITERAL("a\r\nb")};
    struct request_writer w = {0};
    check_text(&w, "");
    request_writer_argv(&w, 2, argv);
    request_writer_begin(&w, 3);
    request_writer_word(&w, "");
    request_writer_number(&w, INT64_MIN);
    request_writer_ref(&w, SPAN_LITERAL("short"));
    check_text(&w, "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"
                   "*3\r\n$0\r\n\r\n$20\r\n-9223372036854775808\r\n$5\r\nshort\r\n");
    request_writer_clear(&w);
    check_text(&w, "");
    request_writer_begin(&w, 0);
    check_text(&w, "*0\r\n");
    request_writer_free(&w);
}

/* From a size up an argument is an iovec of its own, and not copied; its text stands around it,
 * also where it has moved since. */
static void test_large_arguments_by_reference(void **state) {
    (void)state;
    static char large[REQUEST_REF_FROM];
    struct request_writer w = {0};
    size_t n;
    memset(large, 'x', sizeof(large));
    request_writer_begin(&w, 3);
    request_writer_ref(&w, span_of(large, sizeof(large)));
    request_writer_ref(&w, span_of(large, sizeof(large) - 1));
    request_writer_arg(&w, span_of(large, sizeof(large)));
    const struct iovec *iov = request_writer_iov(&w, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(iov[0].iov_base, "*3\r\n$2048\r\n", iov[0].iov_len);
    assert_ptr_equal(iov[1].iov_base, large);
    assert_int_equal(iov[1].iov_len, sizeof(large));
    assert_memory_equal(iov[2].iov_base, "\r\n$2047\r\nx", 10);
    request_writer_free(&w);
}

static bool aborts(void (*act)(struct request_writer *w)) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct request_writer w = {0};
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        act(&w);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void one_too_many(struct request_writer *w) {
    request_writer_begin(w, 1);
    request_writer_word(w, "a");
    request_writer_word(w, "b");
}

static void one_too_few(struct request_writer *w) {
    size_t n;
    request_writer_begin(w, 2);
    request_writer_word(w, "a");
    request_writer_iov(w, &n);
}

static void next_too_early(struct request_writer *w) {
    request_writer_begin(w, 2);
    request_writer_begin(w, 0);
}

static void test_another_number_of_arguments_aborts(void **state) {
    (void)state;
    assert_true(aborts(one_too_many));
    assert_true(aborts(one_too_few));
    assert_true(aborts(next_too_early));
}

/* ---- every command ------------------------------------------------------------------------- */

enum { ARGS_MAX = 256, VALUE_MAX = 3 * REQUEST_REF_FROM };

struct request {
    struct source *source;
    struct span argv[ARGS_MAX];
    size_t argc;
    struct scratch scratch; /* what the arguments are in, in part */
    bool is_valid;          /* with values that parse */
};

static void add(struct request *r, struct span arg) {
    assert_true(r->argc < ARGS_MAX);
    r->argv[r->argc++] = arg;
}

/* Any bytes; now and then as many as are taken by reference, or none. */
static void add_value(struct request *r) {
    static char bytes[VALUE_MAX + 256];
    if (!bytes[1])
        for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)i;
    size_t len = source_once_in(r->source, 4) ? source_below(r->source, VALUE_MAX)
                                              : source_below(r->source, 12);
    add(r, span_of(bytes + source_below(r->source, 256), len));
}

static void add_words(struct request *r, struct span words) {
    for (size_t at = 0, len; at < words.len; at += len + 1) {
        const char *blank = memchr(words.ptr + at, ' ', words.len - at);
        len = blank ? (size_t)(blank - words.ptr) - at : words.len - at;
        add(r, span_of(words.ptr + at, len));
    }
}

/* A value that every clause takes, as a count and as a name. */
static void add_valid(struct request *r, struct span name) {
    add(r, span_is(name, "type") ? SPAN_LITERAL("u8")
           : span_is(name, "op") ? SPAN_LITERAL("=")
                                 : SPAN_LITERAL("1"));
}

/* One of the ways to say what the documentation of an argument allows. */
static void add_documented(struct request *r, const struct usage *arg) {
    size_t times = arg->is_multiple && !r->is_valid ? 1 + source_below(r->source, 3) : 1;
    bool is_needed = r->is_valid && span_is(arg->type, "key"); /* TQ.LIST of a partition */
    if (arg->is_optional && !is_needed && source_once_in(r->source, 2)) return;
    while (times-- && r->argc < ARGS_MAX / 2) {
        if (arg->token.ptr) add_words(r, arg->token);
        const struct usage *each = arg->args;
        bool is_choice = span_is(arg->type, "oneof");
        if (is_choice)
            for (size_t n = source_below(r->source, usage_count(each)); n; n--) each = each->next;
        for (; each; each = is_choice ? NULL : each->next) add_documented(r, each);
        if (arg->args || span_is(arg->type, "pure-token")) continue;
        r->is_valid ? add_valid(r, arg->name) : add_value(r);
    }
}

static void make_request(struct request *r, const struct command *container,
                         const struct command *command) {
    r->argc = 0;
    scratch_reset(&r->scratch);
    if (container) add(r, span_of_string(container->name));
    add(r, span_of_string(command->name));
    for (const struct usage *arg = command_usage(command, &r->scratch); arg; arg = arg->next)
        add_documented(r, arg);
    size_t least = (size_t)(command->arity < 0 ? -command->arity : command->arity);
    while (!r->is_valid && r->argc < least) add_value(r);
}

/* ---- written and parsed again -------------------------------------------------------------- */

static void *allocate(void *context, size_t len, void **memory) {
    (void)context;
    return *memory = malloc(len);
}

static void release(void *context, void *direct) {
    (void)context;
    free(direct);
}

/* What a socket would bring: pieces of the bytes, first into the memory that the parser has. */
static void parse_in_pieces(struct source *s, struct resp_parser *p, char *bytes, size_t len,
                            const struct request *r) {
    char *run = malloc(len);
    size_t at = 0, run_len = 0;
    struct error error;
    enum resp_status status = RESP_MORE;
    while (status == RESP_MORE) {
        void *memory;
        size_t wanted = resp_direct_read(p, &memory), part = 1 + source_below(s, len - at);
        assert_true(at < len);
        if (wanted) {
            if (part > wanted) part = wanted;
            memcpy(memory, bytes + at, part);
            resp_direct_arrived(p, part);
        } else {
            memcpy(run + run_len, bytes + at, part);
            run_len += part;
        }
        at += part;
        status = resp_parse(p, span_of(run, run_len), &error);
    }
    assert_int_equal(status, RESP_COMMAND);
    assert_int_equal(at, len);
    assert_int_equal(p->used, run_len);
    assert_int_equal(p->argc, r->argc);
    for (size_t i = 0; i < r->argc; i++) assert_true(span_equal(p->argv[i].bytes, r->argv[i]));
    free(run);
}

static void check_request(struct source *s, const struct request *r) {
    static const struct resp_limits limits = {.max_args = ARGS_MAX,
                                              .max_bulk = VALUE_MAX,
                                              .max_inline = 100,
                                              .max_total = ARGS_MAX * VALUE_MAX,
                                              .direct_from = 1000};
    static const struct resp_allocator allocator = {.allocate = allocate, .release = release};
    struct request_writer w = {0};
    struct resp_parser p;
    request_writer_begin(&w, r->argc);
    for (size_t i = 0; i < r->argc; i++)
        source_once_in(s, 2) ? request_writer_arg(&w, r->argv[i])
                             : request_writer_ref(&w, r->argv[i]);
    char *bytes = flatten(&w);
    resp_init(&p, &limits, &allocator);
    parse_in_pieces(s, &p, bytes, w.bytes, r);
    resp_free(&p);
    free(bytes);
    request_writer_free(&w);
}

static void test_every_command_is_parsed_again(void **state) {
    (void)state;
    size_t n = 0;
    cmd_register_all();
    for (uint64_t seed = 0; seed < test_rounds(20); seed++) {
        struct source s = source_of_seed(seed);
        struct request r = {.source = &s};
        for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
            make_request(&r, NULL, c);
            check_request(&s, &r);
            for (const struct command *sub = c->subcommands; sub && sub->name; sub++, n++) {
                make_request(&r, c, sub);
                check_request(&s, &r);
            }
        }
        scratch_free(&r.scratch);
    }
    assert_true(command_count() > 50);
    assert_true(n > 0);
}

/* What COMMAND DOCS tells is what is parsed. */
static void test_documented_arguments_are_parsed(void **state) {
    (void)state;
    size_t n = 0;
    for (uint64_t seed = 0; seed < test_rounds(200); seed++) {
        struct source s = source_of_seed(seed);
        struct request r = {.source = &s, .is_valid = true};
        for (const struct command *c = command_next(NULL); c; c = command_next(c)) {
            struct resp_arg argv[ARGS_MAX] = {0};
            struct error e = {0};
            if (!c->syntax) continue;
            make_request(&r, NULL, c);
            for (size_t i = 0; i < r.argc; i++) argv[i].bytes = r.argv[i];
            struct args_syntax syntax = *c->syntax;
            syntax.finish = NULL; /* which clauses go together is not documented */
            void *request = scratch_alloc(&r.scratch, 1, syntax.size);
            if (args_parse(&syntax, argv, r.argc, &r.scratch, request, &e))
                fail_msg("seed %llu, %s: %s", (unsigned long long)seed, c->name, e.text);
            n++;
        }
        scratch_free(&r.scratch);
    }
    assert_true(n > 1000);
}

/* ---- usage -------------------------------------------------------------------------------- */

static void check_usage(const char *line, const char *expected) {
    struct scratch scratch = {0};
    char text[USAGE_TEXT_MAX];
    assert_string_equal(usage_print(usage_parse(line, &scratch), text), expected);
    scratch_free(&scratch);
}

static void test_usage_for_people(void **state) {
    (void)state;
    check_usage("", "");
    check_usage("partition=key key [NX]", "partition key [NX]");
    check_usage("FIELDS(m=integer field...)", "FIELDS m field ...");
    check_usage("TEXT(n=integer field(name[:type] value)...)", "TEXT n {name[:type] value} ...");
    check_usage("TAGS(m=integer tag(name value...)...) [KEEP]",
                "TAGS m {name value ...} ... [KEEP]");
    check_usage("[only(NX|XX)] [WITH TAGS]", "[NX|XX] [WITH TAGS]");
    check_usage("BY sampler(LIFO|random(RANDOM [SEED s=integer])|MAX tag)",
                "BY LIFO|RANDOM [SEED s]|MAX tag");
    char line[2 * USAGE_TEXT_MAX], text[USAGE_TEXT_MAX];
    struct scratch scratch = {0};
    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = line[100] = '\0';
    strcpy(line + 95, "b c");
    memset(line + 98, 'd', sizeof(line) - 99);
    usage_print(usage_parse(line, &scratch), text);
    assert_int_equal(strlen(text), USAGE_TEXT_MAX - 1);
    assert_string_equal(text + USAGE_TEXT_MAX - 1 - strlen("d…"), "d…");
    scratch_free(&scratch);
}

static void check_nearest(const char *word, const char *expected) {
    static const char *const names[] = {"FIELDS", "TAGS", "TEXT", "AS", "BLOCK", "maxmemory"};
    struct nearest n = nearest_to(span_of_string(word));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        nearest_try(&n, span_of_string(names[i]));
    if (!expected) assert_null(n.name.ptr);
    if (expected) assert_true(n.name.ptr && span_is(n.name, expected));
}

static void test_nearest_name(void **state) {
    (void)state;
    check_nearest("FEILDS", "FIELDS"); /* swapped */
    check_nearest("field", "FIELDS");
    check_nearest("FIELDSS", "FIELDS");
    check_nearest("FIALDS", "FIELDS");
    check_nearest("TAG", "TAGS");
    check_nearest("TEXTS", "TEXT");
    check_nearest("BLOK", "BLOCK");
    check_nearest("mxamemroy", "maxmemory");
    check_nearest("FIEL", "FIELDS");
    check_nearest("FIE", NULL); /* three left out */
    check_nearest("TAXS", "TAGS");
    check_nearest("TXXS", NULL); /* half of the name */
    check_nearest("IS", NULL);
    check_nearest("", NULL);
    check_nearest("a word that is longer than any name there is anywhere", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_arrays_of_bulks),
        cmocka_unit_test(test_large_arguments_by_reference),
        cmocka_unit_test(test_another_number_of_arguments_aborts),
        cmocka_unit_test(test_every_command_is_parsed_again),
        cmocka_unit_test(test_documented_arguments_are_parsed),
        cmocka_unit_test(test_usage_for_people),
        cmocka_unit_test(test_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
