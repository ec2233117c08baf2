/* A connection, as commands see it and as it sees itself.
 *
 * Most connections of a server are idle most of the time, so an idle one holds next to nothing:
 * input is read into a buffer that all share, and a connection has one of its own only while a
 * request is incomplete or its commands have to wait; replies are written into blocks of a common
 * pool and sent at the end of the turn.
 *
 * client.c is the life of a connection, client_io.c moves its bytes, client_output.c bounds those
 * that wait to be sent, client_linger.c is the end of one that still sends. */
#ifndef TQ_SERVER_CLIENT_H
#define TQ_SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/log.h"
#include "server/subscriptions.h"
#include "server/text.h"
#include "wire/reply.h"
#include "wire/resp.h"

struct command;
struct server;
struct transaction;
struct waiter;

enum client_reply_mode {
    CLIENT_REPLY_ON,
    CLIENT_REPLY_OFF,
    CLIENT_REPLY_SKIP,
    CLIENT_REPLY_SKIPPING
};

/* Those who listen to channels: their messages have a limit of their own. */
enum client_class { CLIENT_NORMAL, CLIENT_PUBSUB, CLIENT_CLASSES };

struct client {
    struct server *server;

    /* The request that is running. Spans live until the command returns, or, after
     * client_own_argv, until the request is over. */
    size_t argc;
    struct resp_arg *argv;
    const struct command *command;   /* the last one found; NULL before the first */
    const struct command *container; /* of a subcommand, else NULL */

    struct reply reply;    /* write the answer here; c->reply.protocol is 2 or 3 */
    struct waiter *waiter; /* parked, or NULL */

    struct subscription_set channels, patterns; /* pubsub.h */
    struct subscription_set watches;            /* watched partitions: transaction.h */
    struct transaction *transaction; /* between MULTI and EXEC; else NULL */
    bool executing;                  /* EXEC runs what was queued */
    bool touched;                    /* a partition that it watched has changed */

    uint64_t id;
    char *name;                      /* CLIENT SETNAME; "" when none */
    char *library, *library_version; /* CLIENT SETINFO; "" when none */
    const char *address;             /* "127.0.0.1:5000", "[::1]:5000", "/path:0" */
    enum client_reply_mode reply_mode;

    /* The connection's own. */
    int fd;
    bool dead;       /* closed; freed at the end of the turn */
    bool closing;    /* nothing more is read; closed when its replies are sent */
    bool is_ready;   /* in the list of those whose input waits for the next turn */
    bool is_sending; /* in the list of those who have replies to send */
    bool writable_armed;
    bool is_paused; /* much output waits: nothing is read and no command runs until it has gone */
    bool lingers;   /* closing: input is read and dropped, or the last reply may be lost */
    bool rejected;  /* beyond maxclients: in `rejected` in place of `all`, and closing */
    uint64_t ready_round;       /* of clients->ready_round, when it became ready */
    int64_t born_us, active_us; /* monotonic */
    int64_t input_us;           /* when a byte last came, or reading went on; monotonic */
    uint64_t lingered;          /* bytes that were read and thrown away while it lingers */
    size_t messages;            /* bytes of channels' messages since the output was last empty */
    int64_t soft_since_us;      /* when the soft output limit was passed, 0: it is not */
    int64_t closing_since_us;
    struct event readable, writable;
    struct resp_parser parser;
    struct {
        char *bytes; /* NULL: none */
        size_t start, end, capacity;
    } input;               /* bytes that came and are not done with */
    struct resp_arg *owned; /* argv in memory of its own, one block with the bytes; NULL: none */
    size_t half;           /* bytes held for half a request, in clients->half_bytes */
    size_t waiting;        /* bytes held for requests that wait, in clients->waiting_bytes */
    size_t outstanding;    /* bytes of a bulk that memory was taken for, in clients->outstanding */
    int64_t output_us;     /* when output that waits last moved: in `unread`; 0: none waits */
    int in_socket;         /* bytes in the socket then: see client_is_silent */
    TAILQ_ENTRY(client) all, sending, ready; /* `all`: also for `rejected` and `dead` */
    TAILQ_ENTRY(client) halves, unread;
};

TAILQ_HEAD(client_list, client);

struct client_output_limit {
    size_t hard, soft; /* bytes, 0: no limit */
    int64_t soft_seconds;
};

enum {
    /* Without a byte taken: see client_is_silent. The system stops sending for up to two seconds
     * after it has dropped packets of a slow reader (TCP's backoff). */
    CLIENT_SILENT_US = 3 * 1000 * 1000,
    CLIENT_READ_SIZE = 16 * 1024, /* also how far a parked client is read ahead */
    /* Output that may wait while memory is full before a client is paused, or closed:
     * clients_output_most. */
    CLIENT_PENDING_FULL = 64 * 1024
};

struct clients {
    struct client_list all, rejected, sending, ready, dead;
    struct client_list halves; /* with `half` set, the longest without a byte first */
    struct client_list unread; /* with output_us set, the longest without a byte taken first */
    size_t count, n_rejected;  /* of all, of rejected */
    size_t half_bytes;         /* held by `halves` */
    size_t waiting_bytes;      /* of buffers with input that waits: see client_read_most */
    size_t owned_bytes;        /* of owned arguments: of parked calls, in MULTI */
    size_t outstanding;        /* bytes that memory was taken for and that have not arrived */
    uint64_t last_id;
    uint64_t ready_round; /* how often clients_resume has run */
    uint64_t heard_id;    /* of the client that was read last */
    int64_t shared_us;    /* when it was last another one than before; monotonic */
    struct client *visited; /* where the next tick goes on; NULL: at the beginning */
    struct resp_limits limits;
    struct resp_allocator allocator;

    /* Options. */
    int64_t maxclients;
    int64_t timeout, tcp_keepalive;            /* seconds; 0: off */
    int64_t proto_max_bulk_len, max_arguments; /* of one request */
    int64_t query_buffer_limit;                /* bytes; arguments of one request together */
    char *output_limit_words;
    struct client_output_limit output_limits[CLIENT_CLASSES];
    char *output_pause_words;
    size_t pause_high, pause_low; /* bytes of output */
    int64_t request_timeout;      /* seconds; 0: off */
    struct log_limit protocol_log, http_log, rejected_log, shed_log, cut_log;
    uint64_t refused_seen; /* metrics.refused_oom at the last tick */

    char input[CLIENT_READ_SIZE]; /* what all read into */
};

struct clients *clients_new(struct server *s);
void clients_register_options(struct server *s);
void clients_free(struct clients *clients); /* after clients_close_all */
void clients_close_all(struct server *s);

/* See that as many descriptors as maxclients needs may be open. Where the system refuses,
 * maxclients is lowered to what it allows and the log says so. */
int clients_raise_descriptors(struct server *s, struct error *e);

/* A connection begins: takes over the descriptor, in every case. `address` is copied. Beyond
 * maxclients it is told so and closed, lingering, so that a client that has sent something reads
 * why and no reset. */
void client_accept(struct server *s, int fd, const char *address, bool is_tcp);

/* What the arguments of the running command are owned for. */
enum client_own {
    CLIENT_OWN_QUEUED, /* in MULTI */
    CLIENT_OWN_PARKED,
    CLIENT_OWN_TO_FREE, /* parked, and the call gives memory back: it may have twice as much */
};

/* ERROR_OOM if memory is full and arguments owned for parked calls and in MULTI would be more than
 * server_memory_spare. Changes nothing. */
int client_check_own(struct client *c, enum client_own what, struct error *e);

/* Call before a request is parked. Checks that (`what` is not CLIENT_OWN_QUEUED), and moves the
 * arguments out of the input buffer into memory that lives until the request is over (served,
 * expired or forgotten), so that a parked request may point at them. c->argv changes; parse the
 * request again from it. Chunks of direct reads move along. */
int client_own_argv(struct client *c, enum client_own what, struct error *e)
    __attribute__((warn_unused_result));

/* Moves them for good: the arguments are the caller's, who ends them with client_free_argv. NULL
 * where there are none. Call client_check_own before. */
struct resp_arg *client_take_argv(struct client *c);
void client_free_argv(struct server *s, struct resp_arg *argv, size_t argc);

/* May the command that is running park its client? Inside EXEC it may not: there it does what it
 * does when its time is up, at once. */
static inline bool client_may_wait(const struct client *c) {
    return !c->executing;
}

/* The request that was running has its reply: its arguments are void from here on. */
void client_request_over(struct client *c);

/* The same for one that was parked; its reply is sent, and input that waited behind it goes on next
 * turn. */
void client_unpark(struct client *c);

/* Set c->name, c->library or c->library_version; a copy is kept. */
void client_set_text(char **where, struct span text);

/* May this be a client's name (or library, version): printable, without blanks? `what` begins the
 * sentence that says no. An empty one may. */
enum { CLIENT_NAME_MAX = 255 }; /* bytes: of 10,000 clients with three each, 8 MB */
int client_check_name(struct span name, const char *what, struct error *e);

/* End the connection now. Its memory stays readable until the end of the turn. `why` goes to the
 * log. */
void client_close(struct client *c, const char *why);

/* End it when what is in c->reply has been sent; input is ignored from here on. */
void client_close_after_reply(struct client *c);

/* The same, of a client that may still be sending: its input is read and thrown away, so that the
 * system does not reset the connection before the client has read why. Ends when the client closes
 * its side, after a second without a byte, after 10 seconds, or after 4 GiB. */
void client_close_lingering(struct client *c);

/* Bytes were put into c->reply: they are sent at the end of the turn. Closes a client beyond its
 * output limit. The client's own commands need not call it. */
void client_output_ready(struct client *c);

/* The same, where they were `bytes` of a message that the client did not ask for just now. */
void client_message_ready(struct client *c, size_t bytes);

/* Would a reply of so many bytes more be beyond what the client may have waiting? ERROR_ERR names
 * the limit. Call before anything is done that the reply reports. */
int client_check_reply(const struct client *c, uint64_t bytes, struct error *e);

/* The same without an estimate: the reply is written, up to that limit and to what memory allows
 * (server_memory_replies), and then kept or, with ERROR_ERR or ERROR_OOM, taken back. What it tells
 * of is done behind that. */
struct client_mark {
    struct reply_mark reply;
    size_t most;   /* bytes that all replies may hold: server_memory_replies */
    size_t beyond; /* bytes that they may hold beyond it until silent clients are closed */
};
struct client_mark client_reply_try(struct client *c, size_t beyond);
int client_reply_end(struct client *c, const struct client_mark *mark, struct error *e);

/* Where client_reply_end refused for lack of memory: the bytes that replies of silent clients hold;
 * 0: none, or the reply was tried with them before. Plan and write the reply again, with these
 * bytes as `beyond`. If it fits then, client_reply_end closes silent clients, the longest silent
 * first, until all replies have room. Nobody is closed for a reply that does not fit even so. */
size_t client_reply_beyond(struct client *c, const struct client_mark *mark, const struct error *e);

/* The same before anything is written: makes room for a reply (or messages) of so many bytes.
 * ERROR_OOM where there is none. May close silent clients, if that makes enough room; never the one
 * whose command is running. */
int client_check_room(struct client *c, uint64_t bytes, struct error *e);

/* The same for output that adds up unless it is refused, however short it is: messages. */
int client_need_room(struct client *c, uint64_t bytes, struct error *e);

/* Is there room for so many bytes? Closes nobody. */
bool clients_have_room(const struct server *s, uint64_t bytes);

/* Close one that does not read, since there is no room for more of its output. */
void client_cut_full(struct client *c);

/* Has output waited for CLIENT_SILENT_US, and the socket not emptied meanwhile? Asks the system how
 * much the socket holds: that it can be written to is said only when much of that is gone. What it
 * holds falls in steps of up to 130 KB, so a client that reads less than about 50 KB a second may
 * seem silent. */
bool client_is_silent(struct client *c);

/* Looks at the sockets of the 64 clients that seem to be silent for longest. Ten times a second. */
void clients_look_at_unread(struct server *s);

/* By what it does now. */
enum client_class client_class(const struct client *c);

/* One line of CLIENT LIST, without the line's end. */
void client_describe(const struct client *c, struct text *out);

/* The address that the client connected to, as `address`. */
void client_local_address(const struct client *c, struct text *out);

/* "127.0.0.1:80", "[::1]:80", or "path:0" of a socket's end. */
struct sockaddr;
void client_format_address(const struct sockaddr *address, size_t len, struct text *out);

/* While memory is full: how many bytes of output may wait before a client is paused, or closed. 0
 * where the replies of all clients hold more than server_memory_spare. */
size_t clients_output_most(const struct server *s);

/* While memory is full: do the blocks of all replies, errors included, hold more than twice
 * server_memory_spare? Then no command is run, and no waiter served, until the turn has ended, which
 * sends what sockets take, and closes clients for the rest (clients_cut_beyond). */
bool clients_are_beyond(struct server *s);

/* The end of the turn, behind clients_send: as long as they are beyond, closes the client that has
 * taken no byte of its output for longest; at most 512 a turn. */
void clients_cut_beyond(struct server *s);

/* ---- for the turn of the loop */

void clients_resume(struct server *s);        /* those whose input waits */
bool clients_waiting(const struct server *s); /* is there any? */
void clients_send(struct server *s);
void clients_sweep(struct server *s); /* free the dead */
void clients_tick(struct server *s);  /* ten times a second: timeouts and limits */

/* Where memory is full and half-sent commands of all clients hold more than server_memory_spare,
 * those that have been without a byte for longest are discarded, until memory is not full or the
 * others hold less. With `more`: as if so many bytes were to be added, and only those that have been
 * without a byte for a second. */
void clients_shed_halves(struct server *s, size_t more);

/* ---- between client.c, client_io.c, client_linger.c and client_output.c */

/* Close it where its output is beyond client-output-buffer-limit. */
void client_check_output(struct client *c);

/* Output waits (or not), and some of it moved just now (or there was none before). */
void client_note_output(struct client *c, bool waits);

/* Ten times a second: where others lack memory, close clients that do not read. */
void clients_cut_stalled(struct server *s);

/* At the end of the turn, once the log has what the turn did, send what is pending: the only way in
 * which bytes leave. */
void client_send_later(struct client *c);

/* Its last reply is sent: closes it, or reads on and throws away until it closes its side. */
void client_finish(struct client *c);

void client_io_begin(struct client *c); /* arm the events of a new connection */
void client_io_end(struct client *c);   /* disarm and free what I/O holds */

#endif
