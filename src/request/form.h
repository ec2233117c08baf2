/* How samples are written into a reply: the alternatives of `AS`, in the order of its usage. */
#ifndef TQ_REQUEST_FORM_H
#define TQ_REQUEST_FORM_H

enum form { FORM_ROWS, FORM_TEXT, FORM_COLUMNS, FORM_KEYS };

#endif
