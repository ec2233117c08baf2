/* The request writer: what it writes, what it takes by reference, and that the request parser reads
 * from it what was meant, for every command of the command table, in pieces of any size. */
#include "kit/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "kit/source.h"
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

static void add_words(struct request *r, const char *words) {
    for (; *words; words += strspn(words, " ")) {
        size_t len = strcspn(words, " ");
        add(r, span_of(words, len));
        words += len;
    }
}

/* One of the ways to say what the documentation of an argument allows. */
static void add_documented(struct request *r, const struct command_arg *arg) {
    size_t times = arg->multiple ? 1 + source_below(r->source, 3) : 1, n = 0;
    if (arg->optional && source_once_in(r->source, 2)) return;
    while (times-- && r->argc < ARGS_MAX / 2) {
        if (arg->token) add_words(r, arg->token);
        if (!arg->args) {
            if (strcmp(arg->type, "pure-token")) add_value(r);
            continue;
        }
        bool is_choice = !strcmp(arg->type, "oneof");
        while (arg->args[n].name) n++;
        size_t chosen = is_choice ? source_below(r->source, n) : 0;
        for (size_t i = chosen; i < (is_choice ? chosen + 1 : n); i++)
            add_documented(r, &arg->args[i]);
    }
}

static void make_request(struct request *r, const struct command *container,
                         const struct command *command) {
    r->argc = 0;
    if (container) add(r, span_of_string(container->name));
    add(r, span_of_string(command->name));
    for (const struct command_arg *arg = command->args; arg && arg->name; arg++)
        add_documented(r, arg);
    size_t least = (size_t)(command->arity < 0 ? -command->arity : command->arity);
    while (r->argc < least) add_value(r);
}

/* ---- written and parsed again -------------------------------------------------------------- */

static void *land(void *context, size_t len, void **memory) {
    (void)context;
    return *memory = malloc(len);
}

static void release(void *context, void *landing) {
    (void)context;
    free(landing);
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
        size_t wanted = resp_landing(p, &memory), part = 1 + source_below(s, len - at);
        assert_true(at < len);
        if (wanted) {
            if (part > wanted) part = wanted;
            memcpy(memory, bytes + at, part);
            resp_landed(p, part);
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
                                              .land_from = 1000};
    static const struct resp_lander lander = {.land = land, .release = release};
    struct request_writer w = {0};
    struct resp_parser p;
    request_writer_begin(&w, r->argc);
    for (size_t i = 0; i < r->argc; i++)
        source_once_in(s, 2) ? request_writer_arg(&w, r->argv[i])
                             : request_writer_ref(&w, r->argv[i]);
    char *bytes = flatten(&w);
    resp_init(&p, &limits, &lander);
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
    }
    assert_true(command_count() > 50);
    assert_true(n > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_arrays_of_bulks),
        cmocka_unit_test(test_large_arguments_by_reference),
        cmocka_unit_test(test_another_number_of_arguments_aborts),
        cmocka_unit_test(test_every_command_is_parsed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
