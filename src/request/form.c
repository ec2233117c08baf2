/* See form.h. */
#include "request/form.h"

int form_parse(struct args *a, bool with_keys, enum form *out) {
    if (args_accept(a, "ROWS"))
        *out = FORM_ROWS;
    else if (args_accept(a, "TEXT"))
        *out = FORM_TEXT;
    else if (args_accept(a, "COLUMNS"))
        *out = FORM_COLUMNS;
    else if (with_keys && args_accept(a, "KEYS"))
        *out = FORM_KEYS;
    else if (args_left(a))
        return error_set(a->error, ERROR_ERR, "AS: expected ROWS, TEXT%s, got %s",
                         with_keys ? ", COLUMNS or KEYS" : " or COLUMNS",
                         QUOTE(a->argv[a->at].bytes));
    else
        return error_set(a->error, ERROR_ERR, "syntax error: AS what?");
    return 0;
}
