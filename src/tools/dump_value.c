/* See dump_value.h. */
#include "tools/dump_value.h"

#include "store/literal.h"

void dump_value(struct json *j, const struct dtype *item, struct span bytes,
                struct scratch *scratch) {
    bool fits = dtype_is_variable(item) || dtype_fixed_bytes(item) == bytes.len;
    json_text(j, NULL, fits ? literal_render(item, bytes, scratch) : bytes);
}

void dump_values(struct json *j, const struct dtype *type, const struct column_values *values,
                 size_t n, struct scratch *scratch) {
    unsigned stars = dtype_stars(type);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct dtype item = *type;
        struct span bytes = values->items ? values->items[i] : span_of(NULL, 0);
        if (!values->items) {
            uint64_t len = values->lengths ? values->lengths[i] : values->payload.len / n;
            if (len > values->payload.len - at) len = values->payload.len - at;
            bytes = span_of(values->payload.ptr + at, (size_t)len);
            at += len;
        }
        bool known = values->sizes ? dtype_of_sizes(type, values->sizes + i * stars, &item)
                                   : dtype_of_length(type, bytes.len, &item);
        if (known || dtype_is_variable(type))
            dump_value(j, &item, bytes, scratch);
        else
            json_text(j, NULL, bytes);
    }
}
