/* See utf8.h. Text is mostly ASCII, so eight bytes at a time are looked at for a high bit first. */
#include "base/utf8.h"

#include <stdint.h>

/* Length of the valid character that begins here, 0 when there is none. */
static size_t utf8_character(const unsigned char *s, size_t room) {
    unsigned char lead = s[0];
    if (lead < 0x80) return 1;
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || room < length) return 0;
    /* The second byte carries the bounds that make a form overlong, a surrogate, or too large. */
    unsigned char low = 0x80, high = 0xbf;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return length;
}

size_t utf8_valid_prefix(struct span text) {
    const unsigned char *s = (const unsigned char *)text.ptr;
    size_t at = 0;
    while (at < text.len) {
        uint64_t eight;
        if (text.len - at >= sizeof(eight)) {
            memcpy(&eight, s + at, sizeof(eight));
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t n = utf8_character(s + at, text.len - at);
        if (n == 0) break;
        at += n;
    }
    return at;
}
