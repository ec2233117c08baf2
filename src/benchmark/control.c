/* See control.h. */
#include "benchmark/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "benchmark/interrupt.h"
#include "wire/request_writer.h"

enum { PATIENCE_S = 120, BUFFER_BYTES = 256 * 1024, WORDS_MAX = 16 };

struct answer {
    int64_t integer;
    char *text; /* a bulk, as a C string; owned; NULL: there was none */
};

int control_open(struct control *c, const struct link_address *a, enum link_transport transport,
                 struct error *e) {
    static const struct reply_reader_limits limits = {
        .buffer = BUFFER_BYTES, .direct_from = BUFFER_BYTES, .max_bulk = BUFFER_BYTES};
    const struct timeval patience = {PATIENCE_S, 0};
    int failed = link_connect(a, transport, 0, true, &c->fd, e);
    if (failed) return failed;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    reply_reader_init(&c->reader, &limits, NULL, NULL);
    c->is_open = true;
    return 0;
}

void control_close(struct control *c) {
    if (!c->is_open) return;
    close(c->fd);
    reply_reader_free(&c->reader);
    c->is_open = false;
}

/* ---- a command and its reply --------------------------------------------------------------- */

static int no_reply(const char *command, const char *why, struct error *e) {
    return error_set(e, ERROR_ERR, "no reply to %s: %s", command, why);
}

static int send_all(struct control *c, struct request_writer *w, struct error *e) {
    size_t n;
    const struct iovec *iov = request_writer_iov(w, &n); /* one: all is copied */
    const char *at = iov->iov_base;
    for (size_t left = w->bytes; left;) {
        ssize_t sent = send(c->fd, at, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return error_set(e, ERROR_ERR, "can't send to the server: %s", strerror(errno));
        if (sent < 0) continue;
        at += sent;
        left -= (size_t)sent;
    }
    return 0;
}

static int receive_some(struct control *c, const char *command, struct error *e) {
    struct iovec iov[2];
    size_t n = reply_reader_room(&c->reader, iov);
    ssize_t got = readv(c->fd, iov, (int)n);
    if (got == 0) return no_reply(command, "the server closed the connection", e);
    if (got < 0 && errno == EINTR) return interrupt_check(e);
    if (got < 0) return no_reply(command, strerror(errno), e);
    reply_reader_received(&c->reader, (size_t)got);
    return 0;
}

/* Reads to the end of the reply also after an error in it, so that the next one is the next. */
static int receive(struct control *c, const char *command, struct answer *answer, struct error *e) {
    struct reply_item item = {.ends_reply = false};
    int failed = 0;
    while (!item.ends_reply || item.in_push) {
        struct error broken;
        enum reply_reader_status status = reply_reader_next(&c->reader, &item, &broken);
        if (status == REPLY_READER_BROKEN) return no_reply(command, broken.text, e);
        if (status == REPLY_READER_MORE) {
            int lost = receive_some(c, command, e);
            if (lost) return lost;
            item.ends_reply = false;
        } else if (item.kind == REPLY_ITEM_ERROR) {
            failed = error_set(e, ERROR_ERR, "%s: %.*s", command, SPAN_ARG(item.bytes));
        } else if (item.kind == REPLY_ITEM_INTEGER) {
            answer->integer = item.integer;
        } else if (item.kind == REPLY_ITEM_BULK && !answer->text && !item.is_refused) {
            answer->text = mem_calloc(1, item.bytes.len + 1);
            memcpy(answer->text, item.bytes.ptr, item.bytes.len);
        }
    }
    return failed;
}

static int ask(struct control *c, size_t n, const struct span *words, struct answer *answer,
               struct error *e) {
    struct request_writer w = {0};
    request_writer_argv(&w, n, words);
    int failed = send_all(c, &w, e);
    request_writer_free(&w);
    return failed ? failed : receive(c, words[0].ptr, answer, e);
}

int control_do(struct control *c, int64_t *integer, struct error *e, const char *word, ...) {
    struct span words[WORDS_MAX];
    struct answer answer = {0};
    size_t n = 0;
    va_list args;
    va_start(args, word);
    for (; word && n < WORDS_MAX; word = va_arg(args, const char *))
        words[n++] = span_of_string(word);
    va_end(args);
    int failed = ask(c, n, words, &answer, e);
    if (!failed && integer) *integer = answer.integer;
    mem_free(answer.text);
    return failed;
}

int control_info(struct control *c, const char *section, const char *field, int64_t *out,
                 struct error *e) {
    const struct span words[] = {SPAN_LITERAL("INFO"), span_of_string(section)};
    struct answer answer = {0};
    size_t len = strlen(field);
    int failed = ask(c, 2, words, &answer, e);
    *out = 0;
    for (const char *line = answer.text; !failed && line && *line;) {
        if (!strncmp(line, field, len) && line[len] == ':') *out = atoll(line + len + 1);
        line += strcspn(line, "\n");
        if (*line) line++;
    }
    mem_free(answer.text);
    return failed;
}
