/* Where clients come in: TCP ports and a unix socket. */
#ifndef TQ_SERVER_LISTENER_H
#define TQ_SERVER_LISTENER_H

#include <stdint.h>

#include "base/error.h"
#include "server/text.h"

struct listener;
struct server;

struct listener *listener_new(struct server *s);
void listener_register_options(struct server *s);

/* Open what the options say. On failure nothing stays open. */
int listener_open(struct listener *l, struct error *e);

/* Close all; the unix socket's file is removed. */
void listener_close(struct listener *l);
void listener_free(struct listener *l);

/* "127.0.0.1:6399, [::1]:6399, /tmp/tq.sock", for the log. */
void listener_describe(const struct listener *l, struct text *out);
int64_t listener_port(const struct listener *l);

#endif
