/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The difficulty is what is invalid: how many bytes of it are one character's worth is what clients
 * see as the number of U+FFFD, so it has to be QEMU's count. */
#include "policy/qapi/json-utf8.h"

/* Bytes of the sequence that starts with `lead` (C0 to FD); lengths 5 and 6 were UTF-8 once, and are
 * always invalid, but swallow their continuation bytes. */
static size_t json_utf8_expected(uint8_t lead) {
        return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : lead < 0xFC ? 5 : 6;
}

uint32_t json_utf8_decode(const char *s, size_t n, size_t *ret_length) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint8_t lead = (uint8_t) s[0];
        size_t expected, i;
        uint32_t c;

        *ret_length = 1;
        if (lead < 0x80)
                return lead;
        if (lead < 0xC0 || lead >= 0xFE)
                return JSON_UTF8_INVALID;

        expected = json_utf8_expected(lead);
        c = lead & (0x7FU >> expected);
        for (i = 1; i < expected && i < n && ((uint8_t) s[i] & 0xC0) == 0x80; i++)
                c = c << 6 | ((uint8_t) s[i] & 0x3F);

        *ret_length = i;
        if (i < expected || expected > JSON_UTF8_MAX || !json_utf8_is_character(c))
                return JSON_UTF8_INVALID;
        if (c < smallest[expected] && !(c == 0 && expected == 2))
                return JSON_UTF8_INVALID;

        return c;
}

size_t json_utf8_encode(uint32_t c, char *buf) {
        if (c > 0 && c < 0x80) {
                buf[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                buf[0] = (char) (0xC0 | c >> 6);
                buf[1] = (char) (0x80 | (c & 0x3F));
                return 2;
        }
        if (c < 0x10000) {
                buf[0] = (char) (0xE0 | c >> 12);
                buf[1] = (char) (0x80 | (c >> 6 & 0x3F));
                buf[2] = (char) (0x80 | (c & 0x3F));
                return 3;
        }
        buf[0] = (char) (0xF0 | c >> 18);
        buf[1] = (char) (0x80 | (c >> 12 & 0x3F));
        buf[2] = (char) (0x80 | (c >> 6 & 0x3F));
        buf[3] = (char) (0x80 | (c & 0x3F));
        return 4;
}
