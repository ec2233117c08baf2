/* How samples are to be written into a reply: `AS …`. */
#ifndef TQ_REQUEST_FORM_H
#define TQ_REQUEST_FORM_H

#include "request/args.h"

enum form { FORM_ROWS, FORM_TEXT, FORM_COLUMNS, FORM_KEYS };

/* What is behind AS. KEYS only where `with_keys`. */
int form_parse(struct args *a, bool with_keys, enum form *out);

#endif
