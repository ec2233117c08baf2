/* See control.h. */
#include "benchmark/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis.h>

enum { PATIENCE_S = 120 };

int control_open(struct control *c, const struct link_address *a, enum link_transport transport,
                 struct error *e) {
    const struct timeval patience = {PATIENCE_S, 0};
    char name[LINK_HOST_MAX + 16];
    c->context = transport == LINK_UNIX ? redisConnectUnixWithTimeout(a->path, patience)
                                        : redisConnectWithTimeout(a->host, a->port, patience);
    if (c->context && !c->context->err) {
        redisSetTimeout(c->context, patience);
        return 0;
    }
    link_format(a, transport, name, sizeof(name));
    int code = error_set(e, ERROR_ERR, "can't connect to %s: %s", name,
                         c->context ? c->context->errstr : "no memory");
    control_close(c);
    return code;
}

void control_close(struct control *c) {
    if (c->context) redisFree(c->context);
    c->context = NULL;
}

/* The reply as it is, or NULL and an error where there is none or it is one. */
static redisReply *check(const struct control *c, redisReply *reply, const char *command,
                         struct error *e) {
    int word = (int)strcspn(command, " ");
    if (!reply) {
        error_set(e, ERROR_ERR, "no reply to %.*s: %s", word, command, c->context->errstr);
        return NULL;
    }
    if (reply->type != REDIS_REPLY_ERROR) return reply;
    error_set(e, ERROR_ERR, "%.*s: %s", word, command, reply->str);
    freeReplyObject(reply);
    return NULL;
}

static redisReply *ask(struct control *c, struct error *e, const char *format, va_list args) {
    return check(c, redisvCommand(c->context, format, args), format, e);
}

int control_send(struct control *c, const char *command, struct error *e) {
    int done = 0;
    redisAppendCommand(c->context, command);
    while (!done)
        if (redisBufferWrite(c->context, &done) != REDIS_OK)
            return error_set(e, ERROR_ERR, "can't send %s: %s", command, c->context->errstr);
    return 0;
}

int control_receive(struct control *c, const char *command, struct error *e) {
    void *reply = NULL;
    redisGetReply(c->context, &reply);
    reply = check(c, reply, command, e);
    if (reply) freeReplyObject(reply);
    return reply ? 0 : (int)e->code;
}

int control_do(struct control *c, int64_t *integer, struct error *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(c, e, format, args);
    va_end(args);
    if (!reply) return e->code;
    if (integer) *integer = reply->integer;
    freeReplyObject(reply);
    return 0;
}

static redisReply *ask_words(struct control *c, struct error *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(c, e, format, args);
    va_end(args);
    return reply;
}

int control_info(struct control *c, const char *section, const char *field, int64_t fallback,
                 int64_t *out, struct error *e) {
    redisReply *reply = ask_words(c, e, "INFO %s", section);
    if (!reply) return e->code;
    size_t len = strlen(field);
    *out = fallback;
    const char *line = reply->str ? reply->str : "";
    while (*line) {
        if (!strncmp(line, field, len) && line[len] == ':') *out = atoll(line + len + 1);
        line += strcspn(line, "\n");
        if (*line) line++;
    }
    freeReplyObject(reply);
    return 0;
}
