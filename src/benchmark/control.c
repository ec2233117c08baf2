/* See control.h. */
#include "benchmark/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis.h>

#include "benchmark/interrupt.h"

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

/* The reply, or NULL and an error. */
static redisReply *ask(struct control *c, struct error *e, const char *format, va_list args) {
    redisReply *reply = redisvCommand(c->context, format, args);
    const char *command = format;
    int word = (int)strcspn(command, " ");
    if (!reply) {
        if (!interrupt_check(e))
            error_set(e, ERROR_ERR, "no reply to %.*s: %s", word, command, c->context->errstr);
        return NULL;
    }
    if (reply->type != REDIS_REPLY_ERROR) return reply;
    error_set(e, ERROR_ERR, "%.*s: %s", word, command, reply->str);
    freeReplyObject(reply);
    return NULL;
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
