/* Ops of a log as JSON lines. */
#ifndef TQ_TOOLS_DUMP_OPS_H
#define TQ_TOOLS_DUMP_OPS_H

#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "base/span.h"

/* The ops of a frame, a line each, numbered by the frame. ERROR_ERR where one can't be decoded. */
int dump_ops(uint64_t lsn, struct span body, struct scratch *scratch, struct error *e);

#endif
