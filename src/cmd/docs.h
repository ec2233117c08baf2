/* Clauses that several commands share, as COMMAND DOCS tells them. */
#ifndef TQ_CMD_DOCS_H
#define TQ_CMD_DOCS_H

#include "server/command.h"

extern const struct command_arg docs_keys[];      /* n key … */
extern const struct command_arg docs_fields[];    /* m field … */
extern const struct command_arg docs_where[];     /* k {tag op value} … */
extern const struct command_arg docs_partition[]; /* partition, and nothing else */

#endif
