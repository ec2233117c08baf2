/* The command families. Each file registers its own. */
#ifndef TQ_CMD_CMD_H
#define TQ_CMD_CMD_H

#include <stdbool.h>

#include "base/span.h"

void cmd_connection_register(void);    /* connection.c: PING ECHO HELLO AUTH SELECT RESET QUIT */
void cmd_client_register(void);        /* client.c: CLIENT */
void cmd_command_register(void);       /* command.c: COMMAND */
void cmd_introspection_register(void); /* introspection.c: INFO CONFIG TIME */
void cmd_keyspace_register(void);    /* keyspace.c: DBSIZE EXISTS TYPE DEL SCAN KEYS FLUSHALL … */
void cmd_pubsub_register(void);      /* pubsub.c: SUBSCRIBE PSUBSCRIBE … PUBLISH PUBSUB */
void cmd_shutdown_register(void);    /* shutdown.c: SHUTDOWN */
void cmd_transaction_register(void); /* transaction.c: MULTI EXEC DISCARD WATCH UNWATCH */

void cmd_put_register(void);    /* put.c: TQ.PUT */
void cmd_mput_register(void);   /* mput.c: TQ.MPUT */
void cmd_mget_register(void);   /* mget.c: TQ.MGET */
void cmd_define_register(void); /* define.c: TQ.CREATE TQ.ALTER */
void cmd_lease_register(void);  /* lease.c: TQ.ACK TQ.NACK TQ.EXTEND TQ.LEASES */
void cmd_list_register(void);   /* list.c: TQ.LIST TQ.COUNT */
void cmd_sample_register(void); /* sample.c: TQ.SAMPLE */
void cmd_save_register(void);   /* save.c: SAVE BGSAVE LASTSAVE … */
void cmd_checkpoint_register(void); /* checkpoint.c: TQ.CHECKPOINT TQ.RESTORE */
void cmd_clear_register(void);      /* clear.c: TQ.CLEAR TQ.RESET */
void cmd_partition_register(void);  /* partition.c: TQ.EXPECT TQ.SEAL TQ.SCHEMA TQ.STATUS */

/* register.c: all of them, once. */
void cmd_register_all(void);

/* keyspace.c: true where the pattern is too long; then the reply says so. */
struct client;
bool cmd_refuse_pattern(struct client *c, struct span pattern);

#endif
