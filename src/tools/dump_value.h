/* Values as text for people, as `AS TEXT` shows them: long ones are cut. */
#ifndef TQ_TOOLS_DUMP_VALUE_H
#define TQ_TOOLS_DUMP_VALUE_H

#include "base/scratch.h"
#include "store/column.h"
#include "tools/json.h"

/* A value of a concrete type, as the next item. */
void dump_value(struct json *j, const struct dtype *item, struct span bytes,
                struct scratch *scratch);

/* Those of an op's column, n items. */
void dump_values(struct json *j, const struct dtype *type, const struct column_values *values,
                 size_t n, struct scratch *scratch);

#endif
