/* Connections and parked requests, over real sockets into a server that this process turns itself.
 *
 * The commands are the test's own: a stock of things per partition, from which T.TAKE takes or waits. So
 * what is tested is the room, not what TQ.SAMPLE makes of it, and every step happens when the test
 * says. */
#include "kit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "server/client.h"
#include "server/command.h"
#include "server/config.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/store.h"

enum { PATIENCE_US = 20 * 1000000, PARTITIONS = 64 };

static struct server server;
static int stock[PARTITIONS];
static size_t tries;     /* of waiters, all told */
static size_t asked;     /* of heads, whether an op is of use to them */
static bool counts_down; /* waiters say what is missing */
static bool counts_ops;  /* and look at each op */
static size_t freed;     /* requests that are over */

/* ---- the test's commands ------------------------------------------------------------------ */

struct sample_call {
    int partition, n, moves_to; /* -1: nowhere */
    struct span payload;        /* in the client's owned arguments */
};

static int number(struct client *c, size_t at) {
    int64_t value = -1;
    number_parse_i64(c->argv[at].bytes, &value);
    return (int)value;
}

static struct span partition_of(int number) {
    static char names[PARTITIONS][8];
    snprintf(names[number], sizeof(names[number]), "p%d", number);
    return span_of_string(names[number]);
}

static void give(int partition, int n) {
    stock[partition] += n;
    const struct op op = {
        .kind = OP_PUT, .partition = partition_of(partition), .put = {.n = (size_t)n}};
    waiter_signal_op(&server, &op, op.put.n);
}

/* Replies with the sum of the payload's bytes, which tells whether it is still what was sent. */
static bool take_try(struct client *c, void *request) {
    struct sample_call *take = request;
    if (stock[take->partition] < take->n) return false;
    stock[take->partition] -= take->n;
    int64_t sum = 0;
    for (size_t i = 0; i < take->payload.len; i++) sum += take->payload.ptr[i];
    reply_integer(&c->reply, sum);
    if (take->moves_to >= 0) give(take->moves_to, take->n);
    return true;
}

static bool waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    const struct sample_call *take = request;
    tries++;
    if (counts_down || counts_ops)
        *needs = (struct waiter_needs){.samples = (uint64_t)(take->n - stock[take->partition]),
                                       .filters = counts_ops};
    return take_try(c, request);
}

/* Of use are samples that come in pairs. */
static uint64_t waiting_matches(struct client *c, const void *request, const struct op *op) {
    (void)c, (void)request;
    asked++;
    return op->put.n == 2 ? 2 : 0;
}

static void waiting_expire(struct client *c, void *request) {
    (void)request;
    reply_null(&c->reply);
}

static void waiting_free(void *request) {
    freed++;
    mem_free(request);
}

static const struct waiter_kind waiting = {
    .try = waiting_try, .matches = waiting_matches, .expire = waiting_expire, .free = waiting_free};

/* T.TAKE partition queue n ms moves-to payload */
static void take_run(struct client *c) {
    struct sample_call take = {number(c, 1), number(c, 3), number(c, 5), c->argv[6].bytes};
    struct span partition = partition_of(take.partition);
    struct span queue = c->argv[2].bytes;
    if (!waiter_queued(&server, partition, queue) && take_try(c, &take)) return;
    struct error e;
    assert_int_equal(0, client_own_argv(c, CLIENT_OWN_PARKED, &e));
    take.payload = c->argv[6].bytes;
    waiter_park(c, &waiting, mem_dup(&take, sizeof(take)), &(struct waiter_needs){0}, partition,
                c->argv[2].bytes, number(c, 4));
}

static void give_run(struct client *c) {
    give(number(c, 1), number(c, 2));
    reply_status(&c->reply, "OK");
}

static void burn_run(struct client *c) {
    int64_t until = clock_monotonic_us() + 1000;
    while (clock_monotonic_us() < until) continue;
    reply_status(&c->reply, "BURNT");
}

static void say_run(struct client *c) {
    reply_bulk(&c->reply, c->argv[1].bytes);
}

static const struct command commands[] = {{.name = "t.take", .arity = 7, .run = take_run},
                                          {.name = "t.give", .arity = 3, .run = give_run},
                                          {.name = "t.burn", .arity = 1, .run = burn_run},
                                          {.name = "t.say", .arity = 2, .run = say_run},
                                          {0}};

/* ---- clients ------------------------------------------------------------------------------ */

/* One turn: EVLOOP_NONBLOCK alone would go on for as long as there is something to do. */
static void turn(void) {
    event_base_loop(server.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* A TCP connection, of which the server has one end. */
static int join(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    int other = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    assert_true(other >= 0);
    close(listening);
    server_turn(&server);
    client_accept(&server, other, "test:0", true);
    return fd;
}

/* Send all of it, turning the loop where the socket is full. */
static void say(int fd, const char *bytes, size_t len) {
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN);
        assert_true(clock_monotonic_us() < until);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        turn();
    }
}

static void say_text(int fd, const char *text) {
    say(fd, text, strlen(text));
}

/* Turn until exactly this has come back. */
static void hear(int fd, const char *expected, size_t len) {
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    char *got = mem_alloc(len);
    for (size_t at = 0; at < len;) {
        turn();
        ssize_t n = recv(fd, got + at, len - at, MSG_DONTWAIT);
        if (n > 0) at += (size_t)n;
        if (n == 0) fail_msg("the server closed the connection");
        if (clock_monotonic_us() > until) fail_msg("%zu of %zu bytes came", at, len);
    }
    if (memcmp(got, expected, len))
        fail_msg("expected %.*s, got %.*s", (int)len, expected, (int)len, got);
    mem_free(got);
}

static void hear_text(int fd, const char *expected) {
    hear(fd, expected, strlen(expected));
}

/* Nothing came, after everything that the server knows of has been dealt with. */
static void hear_nothing(int fd) {
    static int other = -1;
    if (other < 0) other = join();
    for (int i = 0; i < 2; i++) {
        say_text(other, "t.say x\r\n");
        hear_text(other, "$1\r\nx\r\n");
    }
    char byte;
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void wait_parked(size_t n) {
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    while (waiter_count(&server) != n) {
        turn();
        if (clock_monotonic_us() > until) fail_msg("%zu wait, not %zu", waiter_count(&server), n);
    }
}

static void leave_by_reset(int fd) {
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

static int park(const char *command) {
    int fd = join();
    size_t before = waiter_count(&server);
    say_text(fd, command);
    wait_parked(before + 1);
    return fd;
}

static int set_up(void **state) {
    (void)state;
    memset(stock, 0, sizeof(stock));
    tries = asked = freed = 0;
    counts_down = counts_ops = false;
    return 0;
}

/* ---- waiting ------------------------------------------------------------------------------ */

static void test_only_the_head_is_tried(void **state) {
    (void)state;
    int large = park("t.take 1 q 3 0 -1 a\r\n"), small = park("t.take 1 q 1 0 -1 b\r\n");
    int other = join();
    say_text(other, "t.give 1 1\r\n");
    hear_text(other, "+OK\r\n");
    hear_nothing(small);
    assert_int_equal(tries, 1);
    say_text(other, "t.give 1 2\r\n");
    hear_text(large, ":97\r\n");
    hear_nothing(small);
    say_text(other, "t.give 1 1\r\n");
    hear_text(small, ":98\r\n");
    assert_int_equal(freed, 2);
    close(large);
    close(small);
    close(other);
}

static void test_a_head_that_says_what_is_missing_is_left_alone_until_then(void **state) {
    (void)state;
    counts_down = true;
    int large = park("t.take 1 q 100 0 -1 a\r\n"), giver = join();
    for (int i = 0; i < 99; i++) {
        say_text(giver, "t.give 1 1\r\n");
        hear_text(giver, "+OK\r\n");
    }
    assert_int_equal(tries, 1); /* the first change showed that 99 are lacking */
    hear_nothing(large);
    say_text(giver, "t.give 1 1\r\n");
    hear_text(large, ":97\r\n");
    assert_int_equal(tries, 2);
    close(large);
    close(giver);
}

/* It is asked of each change, tried only once, and those behind it and beside it do as they always did. */
static void test_a_head_that_filters_is_tried_when_enough_of_the_changes_match(void **state) {
    (void)state;
    counts_ops = true;
    int large = park("t.take 1 q 100 0 -1 a\r\n"), giver = join();
    for (int i = 0; i < 101; i++) {
        say_text(giver, i < 99 ? "t.give 1 1\r\n" : "t.give 1 0\r\n");
        hear_text(giver, "+OK\r\n");
    }
    assert_int_equal(tries, 1); /* 99 are lacking since, and none was of use */
    assert_int_equal(asked, 100);
    hear_nothing(large);
    for (int i = 0; i < 50; i++) {
        say_text(giver, "t.give 1 2\r\n");
        hear_text(giver, "+OK\r\n");
    }
    hear_text(large, ":97\r\n");
    assert_int_equal(tries, 2);
    close(large);
    close(giver);
}

/* One queue's count must not hide what another waits for. */
static void test_each_queue_is_woken_by_its_own_count(void **state) {
    (void)state;
    counts_down = true;
    int large = park("t.take 1 q 100 0 -1 a\r\n"), giver = join();
    say_text(giver, "t.give 1 1\r\n");
    hear_text(giver, "+OK\r\n");
    int small = park("t.take 1 r 3 0 -1 b\r\n");
    say_text(giver, "t.give 1 2\r\n");
    hear_text(small, ":98\r\n");
    hear_nothing(large);
    say_text(giver, "t.give 1 100\r\n");
    hear_text(large, ":97\r\n");
    close(large);
    close(small);
    close(giver);
}

static void test_newcomers_line_up(void **state) {
    (void)state;
    int first = park("t.take 1 q 2 0 -1 a\r\n");
    int giver = join();
    say_text(giver, "t.give 1 1\r\n");
    int second = park("t.take 1 q 1 0 -1 b\r\n"); /* could go, but one stands before it */
    say_text(giver, "t.give 1 2\r\n");
    hear_text(first, ":97\r\n");
    hear_text(second, ":98\r\n");
    close(first);
    close(second);
    close(giver);
}

/* What is signalled costs its own queues, nobody else's. */
static void test_queues_are_independent(void **state) {
    (void)state;
    int a = park("t.take 1 q 5 0 -1 a\r\n"), b = park("t.take 1 r 1 0 -1 b\r\n");
    int c = park("t.take 2 q 1 0 -1 c\r\n");
    int giver = join();
    say_text(giver, "t.give 1 1\r\n");
    hear_text(b, ":98\r\n");
    hear_nothing(a);
    hear_nothing(c);
    assert_int_equal(tries, 2);
    say_text(giver, "t.give 3 1\r\n");
    hear_nothing(a);
    assert_int_equal(tries, 2);
    close(a);
    close(b);
    close(c);
    close(giver);
    wait_parked(0);
}

/* Whoever leaves the head of a queue makes way, whichever way it leaves. */
static void test_the_next_is_tried_when_the_head_leaves(void **state) {
    (void)state;
    for (int how = 0; how < 5; how++) {
        stock[1] = 0;
        int head = park(how == 2 ? "t.take 1 q 9 30 -1 a\r\n" : "t.take 1 q 9 0 -1 a\r\n");
        int next = park("t.take 1 q 1 0 -1 b\r\n");
        stock[1] = 1;
        struct client *c;
        TAILQ_FOREACH(c, &server.clients->all, all)
        if (c->waiter) break;
        if (how == 0) close(head);
        if (how == 1) leave_by_reset(head);
        if (how == 2) hear_text(head, "$-1\r\n");
        if (how >= 3) {
            server_turn(&server);
            waiter_unblock(c, how == 4);
        }
        hear_text(next, ":98\r\n");
        if (how == 3) hear_text(head, "$-1\r\n");
        if (how == 4) hear_text(head, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        if (how >= 2) close(head);
        close(next);
        wait_parked(0);
    }
}

/* Serving one lets the next go, in another partition, and so on without anyone else's doing. */
static void test_a_chain_is_served(void **state) {
    (void)state;
    int fds[PARTITIONS - 1];
    for (int i = PARTITIONS - 2; i >= 0; i--) {
        char command[64];
        snprintf(command, sizeof(command), "t.take %d q 1 0 %d a\r\n", i, i + 1);
        fds[i] = park(command);
    }
    server_turn(&server);
    give(0, 1);
    wait_parked(0);
    assert_int_equal(tries, PARTITIONS - 1);
    assert_int_equal(stock[PARTITIONS - 1], 1);
    for (int i = 0; i < PARTITIONS - 1; i++) {
        hear_text(fds[i], ":97\r\n");
        close(fds[i]);
    }
}

static void test_time_runs_out_in_order(void **state) {
    (void)state;
    int late = park("t.take 1 q 1 60 -1 a\r\n"), early = park("t.take 2 q 1 20 -1 b\r\n");
    int never = park("t.take 3 q 1 0 -1 c\r\n");
    hear_text(early, "$-1\r\n");
    hear_text(late, "$-1\r\n");
    hear_nothing(never);
    assert_int_equal(freed, 2);
    close(late);
    close(early);
    close(never);
    wait_parked(0);
    assert_int_equal(freed, 3);
}

/* Arguments stay what they were while the client is parked, those that were read into chunks
 * too. */
static void test_arguments_are_kept(void **state) {
    (void)state;
    enum { LEN = 100000 };
    static char payload[LEN], command[LEN + 200], reply[32];
    for (int how = 0; how < 2; how++) {
        int64_t sum = 0;
        for (int i = 0; i < LEN; i++) sum += payload[i] = (char)(i % 100);
        int len = snprintf(command, sizeof(command),
                           "*7\r\n$6\r\nt.take\r\n$1\r\n1\r\n$1\r\nq\r\n$1\r\n1\r\n$1\r\n0\r\n"
                           "$2\r\n-1\r\n$%d\r\n",
                           LEN);
        memcpy(command + len, payload, LEN);
        memcpy(command + len + LEN, "\r\n", 2);
        int fd = join();
        say(fd, command, (size_t)len + LEN + 2);
        wait_parked(1);
        assert_true(arena_allocated(store_arena(server.store)) >= LEN);
        say_text(fd, "t.say more\r\n"); /* into the buffers that the arguments came through */
        hear_nothing(fd);
        if (how == 0) {
            server_turn(&server);
            give(1, 1);
            snprintf(reply, sizeof(reply), ":%lld\r\n$4\r\nmore\r\n", (long long)sum);
            hear_text(fd, reply);
        }
        close(fd);
        wait_parked(0);
        turn();
        assert_int_equal(arena_allocated(store_arena(server.store)), 0);
    }
}

/* What a client sends behind a command that waits is answered after it, in order, however much it
 * is; and whether it leaves is noticed all the same. */
static void test_much_behind_a_waiting_command(void **state) {
    (void)state;
    static const char line[] = "t.say abc\r\n", answer[] = "$3\r\nabc\r\n";
    for (int n = 1; n <= 10000; n *= 100) {
        for (int how = 0; how < 3; how++) {
            int fd = park("t.take 1 q 1 0 -1 a\r\n");
            for (int i = 0; i < n; i++) say_text(fd, line);
            hear_nothing(fd);
            if (how == 0) {
                server_turn(&server);
                give(1, 1);
                hear_text(fd, ":97\r\n");
                for (int i = 0; i < n; i++) hear_text(fd, answer);
                close(fd);
            } else if (how == 1) {
                close(fd);
            } else {
                leave_by_reset(fd);
            }
            wait_parked(0);
        }
    }
}

/* The same with replies before it that the client has not read. */
static void test_unread_replies_before_a_waiting_command(void **state) {
    (void)state;
    enum { LEN = 16 * 1024 * 1024 };
    static char command[LEN + 64], reply[LEN + 32];
    memset(command, 'z', sizeof(command));
    int at = sprintf(command, "*2\r\n$5\r\nt.say\r\n$%d\r\n", LEN);
    command[at] = 'z';
    memcpy(command + at + LEN, "\r\n", 2);
    memset(reply, 'z', sizeof(reply));
    int from = sprintf(reply, "$%d\r\n", LEN);
    reply[from] = 'z';
    memcpy(reply + from + LEN, "\r\n", 2);
    for (int how = 0; how < 3; how++) {
        int fd = join();
        say(fd, command, (size_t)at + LEN + 2);
        say_text(fd, "t.take 1 q 1 0 -1 a\r\n");
        for (int i = 0; i < 4000; i++) say_text(fd, "t.say abc\r\n");
        wait_parked(1);
        if (how < 2) {
            hear(fd, reply, (size_t)from + LEN + 2);
            hear_nothing(fd);
        }
        if (how == 0) {
            server_turn(&server);
            give(1, 1);
            hear_text(fd, ":97\r\n");
            for (int i = 0; i < 4000; i++) hear_text(fd, "$3\r\nabc\r\n");
        }
        leave_by_reset(fd);
        wait_parked(0);
    }
}

/* ---- connections -------------------------------------------------------------------------- */

/* Whoever closes the sending side still gets all that was asked for. */
static void test_half_closed(void **state) {
    (void)state;
    enum { N = 2000 };
    static char word[1001], command[1100], answer[1100];
    memset(word, 'w', 1000);
    snprintf(command, sizeof(command), "t.say %s\r\n", word);
    snprintf(answer, sizeof(answer), "$1000\r\n%s\r\n", word);
    int fd = join();
    for (int i = 0; i < N; i++) say_text(fd, command);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < N; i++) hear_text(fd, answer);
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    char byte;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 0) {
        turn();
        assert_true(clock_monotonic_us() < until);
    }
    close(fd);
}

/* A pipeline of slow commands does not keep others waiting until it is through. */
static void test_a_busy_client_shares(void **state) {
    (void)state;
    enum { N = 200 };
    int busy = join(), other = join();
    char pipeline[N * 8];
    for (int i = 0; i < N; i++) memcpy(pipeline + 8 * i, "t.burn\r\n", 8);
    assert_int_equal(send(busy, pipeline, sizeof(pipeline), 0), sizeof(pipeline)); /* at once */
    assert_int_equal(send(other, "t.say x\r\n", 9, 0), 9);
    hear_text(other, "$1\r\nx\r\n");
    size_t done = 0;
    char piece[4096];
    ssize_t n = recv(busy, piece, sizeof(piece), MSG_DONTWAIT);
    if (n > 0) done = (size_t)n / strlen("+BURNT\r\n");
    assert_true(done < N / 2);
    for (; done < N; done++) hear_text(busy, "+BURNT\r\n");
    close(busy);
    close(other);
}

/* Beyond its limit a client is gone, and with it all that was kept for it. */
static void test_output_limit(void **state) {
    (void)state;
    struct error e;
    struct span culprit, name = SPAN_LITERAL("client-output-buffer-limit");
    struct span limit = SPAN_LITERAL("normal 1mb 0 0"), former = SPAN_LITERAL("normal 4gb 1gb 60");
    assert_int_equal(config_set(server.config, 1, &name, &limit, &culprit, &e), 0);
    static char command[30000];
    memset(command, 'x', sizeof(command));
    memcpy(command, "t.say ", 6);
    memcpy(command + sizeof(command) - 2, "\r\n", 2);
    int fd = join();
    size_t before = server.metrics.output_cut;
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    while (server.metrics.output_cut == before) {
        if (send(fd, command, sizeof(command), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) turn();
        turn();
        assert_true(clock_monotonic_us() < until);
    }
    assert_int_equal(server.metrics.output_cut, before + 1);
    close(fd);
    assert_int_equal(config_set(server.config, 1, &name, &former, &culprit, &e), 0);
}

/* ---- begin and end ------------------------------------------------------------------------ */

/* The socket's directory has a name of its own: a killed run may have left its socket. */
static char directory[] = "/tmp/tq-client-XXXXXX";

static int start(void **state) {
    (void)state;
    char path[64], *words[] = {"--port",     "0",       "--unixsocket",          path,
                               "--loglevel", "warning", "--client-output-pause", "32mb",
                               "1mb"};
    struct error e;
    if (!mkdtemp(directory)) return 1;
    snprintf(path, sizeof(path), "%s/tq.sock", directory);
    hash_init();
    server_init(&server);
    command_register(commands);
    if (config_load_words(server.config, sizeof(words) / sizeof(*words), words, &e) ||
        server_start(&server, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    log_open("/dev/null", &e); /* the cut-off client's line */
    return 0;
}

static int end(void **state) {
    (void)state;
    server_free(&server);
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_only_the_head_is_tried, set_up),
        cmocka_unit_test_setup(test_a_head_that_says_what_is_missing_is_left_alone_until_then,
                               set_up),
        cmocka_unit_test_setup(test_a_head_that_filters_is_tried_when_enough_of_the_changes_match,
                               set_up),
        cmocka_unit_test_setup(test_each_queue_is_woken_by_its_own_count, set_up),
        cmocka_unit_test_setup(test_newcomers_line_up, set_up),
        cmocka_unit_test_setup(test_queues_are_independent, set_up),
        cmocka_unit_test_setup(test_the_next_is_tried_when_the_head_leaves, set_up),
        cmocka_unit_test_setup(test_a_chain_is_served, set_up),
        cmocka_unit_test_setup(test_time_runs_out_in_order, set_up),
        cmocka_unit_test_setup(test_arguments_are_kept, set_up),
        cmocka_unit_test_setup(test_much_behind_a_waiting_command, set_up),
        cmocka_unit_test_setup(test_unread_replies_before_a_waiting_command, set_up),
        cmocka_unit_test_setup(test_half_closed, set_up),
        cmocka_unit_test_setup(test_a_busy_client_shares, set_up),
        cmocka_unit_test_setup(test_output_limit, set_up),
    };
    return cmocka_run_group_tests(tests, start, end);
}
