/* Values as people write and read them.
 *
 * `0.5`, `[1,2,3]`, `[[1,2],[3,4]]`, `true`: what TEXT takes and gives. Numbers are exact where the type can hold them
 * and rounded to nearest where it is a float; an integer that does not fit is an error, not a wrap. What is rendered reads back
 * as the same value, unless it was cut. */
#ifndef TQ_STORE_LITERAL_H
#define TQ_STORE_LITERAL_H

#include "base/error.h"
#include "base/scratch.h"
#include "store/dtype.h"

enum {
    LITERAL_CUT = 256
}; /* a rendered value is cut with … when it gets longer than this many bytes */

/* Parse into packed bytes (in scratch; str and bytes: the text itself) and the concrete type. `*` in `type` takes the size
 * found; brackets have to nest as deep as the shape. Fails with ERROR_SCHEMA. */
int literal_parse(struct span text, const struct dtype *type, struct scratch *scratch,
                  struct span *bytes, struct dtype *item, struct error *e);

/* Render a value of a concrete type; the text is in scratch. */
struct span literal_render(const struct dtype *item, struct span bytes, struct scratch *scratch);

#endif
