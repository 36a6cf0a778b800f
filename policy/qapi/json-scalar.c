/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strings, numbers, keywords. The difficulty is \u: QEMU reads four bytes whatever they are, so its
 * error shows up to four bytes of what stands there, the closing quote among them; surrogates
 * count only in pairs; a noncharacter is as wrong as half a pair.
 */
#include "policy/qapi/json-scalar.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/qapi/json-utf8.h"

static int json_scalar_fail(char **ret_error, const char *format, ...) _printf_(2, 3);

static int json_scalar_fail(char **ret_error, const char *format, ...) {
        char *error;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&error, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;

        *ret_error = error;
        return JSON_SCALAR_E_INVALID;
}

/* The value of the four digits at p, or a value that no 16 bits have. */
static uint32_t json_scalar_read_hex(const char *p, const char *end) {
        uint32_t value = 0;

        if (end - p < 4)
                return JSON_UTF8_INVALID;
        for (unsigned i = 0; i < 4; i++) {
                char c = p[i];

                if (c >= '0' && c <= '9')
                        value = value << 4 | (uint32_t) (c - '0');
                else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                        value = value << 4 | (uint32_t) ((c | 0x20) - 'a' + 10);
                else
                        return JSON_UTF8_INVALID;
        }

        return value;
}

/* *p stands behind the u of an escape and moves behind the character. `end` is behind the closing
 * quote. */
static int json_scalar_read_unicode(const char **p, const char *end, uint32_t *ret, char **ret_error) {
        const char *start = *p;
        uint32_t c = json_scalar_read_hex(start, end), low;
        int length = end - start < 4 ? (int) (end - start) : 4;

        if ((c & ~0x3FFU) == 0xD800 && end - start >= 6 && start[4] == '\\' && start[5] == 'u') {
                low = json_scalar_read_hex(start + 6, end);
                if ((low & ~0x3FFU) == 0xDC00) {
                        c = 0x10000 + ((c & 0x3FF) << 10 | (low & 0x3FF));
                        length = 10;
                }
        }
        if (!json_utf8_is_character(c))
                return json_scalar_fail(ret_error,
                                        "JSON parse error, \\u%.*s is not a valid Unicode character",
                                        length,
                                        start);

        *p = start + length;
        *ret = c;
        return 0;
}

static char json_scalar_unescape(char c) {
        switch (c) {
        case '"':
        case '\'':
        case '\\':
        case '/':
                return c;
        case 'b':
                return '\b';
        case 'f':
                return '\f';
        case 'n':
                return '\n';
        case 'r':
                return '\r';
        case 't':
                return '\t';
        default:
                return '\0';
        }
}

/* Reads [p, end), which is followed by the closing quote, into `out`, which is as large. */
static int json_scalar_decode(const char *p, const char *end, char *out, size_t *ret_n, char **ret_error) {
        size_t n = 0, length;
        uint32_t c = 0;
        int r;

        while (p < end) {
                if (p[0] != '\\') {
                        if (json_utf8_decode(p, (size_t) (end - p), &length) == JSON_UTF8_INVALID)
                                return json_scalar_fail(
                                        ret_error,
                                        "JSON parse error, invalid UTF-8 sequence in string");
                        memcpy(out + n, p, length);
                        n += length;
                        p += length;
                        continue;
                }

                p += 2;
                if (p[-1] == 'u') {
                        r = json_scalar_read_unicode(&p, end + 1, &c, ret_error);
                        if (r != 0)
                                return r;
                        n += json_utf8_encode(c, out + n);
                        continue;
                }
                out[n] = json_scalar_unescape(p[-1]);
                if (out[n++] == '\0')
                        return json_scalar_fail(ret_error,
                                                "JSON parse error, invalid escape sequence in string");
        }

        *ret_n = n;
        return 0;
}

static bool json_scalar_is_plain(const char *p, const char *end) {
        while (p < end && *p != '\\' && (unsigned char) *p < 0x80)
                p++;
        return p == end;
}

static int json_scalar_parse_string(const JsonText *text, json_object **ret, char **ret_error) {
        const char *start = text->data + 1, *end = text->data + text->length - 1;
        _cleanup_free_ char *decoded = NULL;
        size_t n = (size_t) (end - start);
        int r;

        if (!json_scalar_is_plain(start, end)) {
                decoded = malloc(n);
                if (!decoded)
                        return -ENOMEM;
                r = json_scalar_decode(start, end, decoded, &n, ret_error);
                if (r != 0)
                        return r;
                start = decoded;
        }

        *ret = json_object_new_string_len(start, (int) n);
        return *ret ? 0 : -ENOMEM;
}

/* False when it fits neither int64 nor uint64. */
static bool json_scalar_read_integer(const JsonText *text, bool *ret_negative, uint64_t *ret) {
        const char *p = text->data, *end = p + text->length;
        bool negative = *p == '-';
        uint64_t value = 0;

        for (p += negative; p < end; p++)
                if (__builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
                        return false;

        *ret_negative = negative;
        *ret = value;
        return !negative || value <= UINT64_C(1) << 63;
}

static int json_scalar_parse_number(JsonToken token, const JsonText *text, json_object **ret) {
        _cleanup_free_ char *copy = NULL;
        uint64_t value;
        bool negative;

        if (token == JSON_TOKEN_INTEGER && json_scalar_read_integer(text, &negative, &value)) {
                if (negative)
                        *ret = json_object_new_int64((int64_t) (0 - value));
                else if (value <= INT64_MAX)
                        *ret = json_object_new_int64((int64_t) value);
                else
                        *ret = json_object_new_uint64(value);
                return *ret ? 0 : -ENOMEM;
        }

        copy = strndup(text->data, text->length);
        if (!copy)
                return -ENOMEM;
        *ret = json_object_new_double(strtod(copy, NULL));
        return *ret ? 0 : -ENOMEM;
}

static bool json_scalar_is(const JsonText *text, const char *word) {
        return strlen(word) == text->length && memcmp(word, text->data, text->length) == 0;
}

static int json_scalar_parse_keyword(const JsonText *text, json_object **ret, char **ret_error) {
        bool value = json_scalar_is(text, "true");

        if (json_scalar_is(text, "null")) {
                *ret = NULL;
                return 0;
        }
        if (!value && !json_scalar_is(text, "false"))
                return json_scalar_fail(ret_error,
                                        "JSON parse error, invalid keyword '%.*s'",
                                        (int) text->length,
                                        text->data);

        *ret = json_object_new_boolean(value);
        return *ret ? 0 : -ENOMEM;
}

int json_scalar_parse(JsonToken token, const JsonText *text, json_object **ret, char **ret_error) {
        if (token == JSON_TOKEN_STRING)
                return json_scalar_parse_string(text, ret, ret_error);
        if (token == JSON_TOKEN_KEYWORD)
                return json_scalar_parse_keyword(text, ret, ret_error);

        return json_scalar_parse_number(token, text, ret);
}
