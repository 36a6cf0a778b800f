/* SPDX-License-Identifier: MIT */
/*
 * Written for messages of tocsind, which are well-formed; yet whatever comes, nothing is read beyond
 * the text, and nesting costs no stack.
 */
#include "plugins/sdk/lib/vmm-json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Deeper than any message of vmm.sock. */
#define JSON_DEPTH_MAX 64

void vmm_json_add(struct vmm_json *json, const char *text) {
        size_t n = strlen(text);

        if (json->length < json->size) {
                size_t room = json->size - json->length - 1, part = n < room ? n : room;

                memcpy(json->data + json->length, text, part);
                json->data[json->length + part] = '\0';
        }
        json->length += n;
}

void vmm_json_add_number(struct vmm_json *json, uint64_t value) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        vmm_json_add(json, text);
}

/* Bytes of the UTF-8 sequence that begins here; 0: it is none. */
static size_t vmm_json_measure(const unsigned char *s, size_t n) {
        static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        unsigned code;
        size_t length;

        if (s[0] < 0x80)
                return 1;
        if (s[0] < 0xc2 || s[0] > 0xf4)
                return 0;
        length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
        if (length > n)
                return 0;
        code = s[0] & (0xffU >> (length + 1));
        for (size_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (s[i] & 0x3fU);
        }
        return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0
                                                                                            : length;
}

void vmm_json_add_string(struct vmm_json *json, const char *s, size_t n) {
        const unsigned char *bytes = (const unsigned char *) s;

        vmm_json_add(json, "\"");
        for (size_t i = 0; i < n;) {
                size_t length = vmm_json_measure(bytes + i, n - i);
                char text[8] = "";

                if (length == 0 || bytes[i] == '\0') {
                        (void) snprintf(text, sizeof(text), "\\ufffd");
                        length = 1;
                } else if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
                        (void) snprintf(text, sizeof(text), "\\u%04x", bytes[i]);
                } else if (bytes[i] == '"' || bytes[i] == '\\') {
                        text[0] = '\\';
                        text[1] = s[i];
                } else {
                        memcpy(text, s + i, length);
                }
                vmm_json_add(json, text);
                i += length;
        }
        vmm_json_add(json, "\"");
}

static bool vmm_json_is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *vmm_json_skip_space(const char *p, const char *end) {
        while (p < end && vmm_json_is_space(*p))
                p++;
        return p;
}

/* p is at the opening quote; behind the closing one, or NULL. */
static const char *vmm_json_skip_string(const char *p, const char *end) {
        for (p++; p < end; p++) {
                if (*p == '\\')
                        p++;
                else if (*p == '"')
                        return p + 1;
        }
        return NULL;
}

/* Behind the value that begins at p, or NULL. */
static const char *vmm_json_skip(const char *p, const char *end) {
        char closing[JSON_DEPTH_MAX];
        size_t depth = 0;

        do {
                p = vmm_json_skip_space(p, end);
                if (p >= end)
                        return NULL;
                if (*p == '"') {
                        p = vmm_json_skip_string(p, end);
                        if (!p)
                                return NULL;
                } else if (*p == '{' || *p == '[') {
                        if (depth == JSON_DEPTH_MAX)
                                return NULL;
                        closing[depth++] = *p++ == '{' ? '}' : ']';
                } else if (*p == '}' || *p == ']') {
                        if (depth == 0 || closing[--depth] != *p++)
                                return NULL;
                } else if (*p == ',' || *p == ':') {
                        if (depth == 0)
                                return NULL;
                        p++;
                } else {
                        while (p < end && !vmm_json_is_space(*p) && !strchr(",:]}[{\"", *p))
                                p++;
                }
        } while (depth > 0);
        return p;
}

bool vmm_json_get(struct vmm_text object, const char *key, struct vmm_text *ret) {
        const char *end = object.data + object.length, *p = vmm_json_skip_space(object.data, end);
        size_t n = strlen(key);

        if (p >= end || *p++ != '{')
                return false;
        for (;;) {
                const char *name, *name_end, *value, *value_end;

                name = vmm_json_skip_space(p, end);
                if (name >= end || *name != '"')
                        return false;
                name_end = vmm_json_skip_string(name, end);
                if (!name_end)
                        return false;
                p = vmm_json_skip_space(name_end, end);
                if (p >= end || *p != ':')
                        return false;
                value = vmm_json_skip_space(p + 1, end);
                value_end = vmm_json_skip(value, end);
                if (!value_end)
                        return false;
                if ((size_t) (name_end - name) == n + 2 && memcmp(name + 1, key, n) == 0) {
                        *ret = (struct vmm_text){ value, (size_t) (value_end - value) };
                        return true;
                }
                p = vmm_json_skip_space(value_end, end);
                if (p >= end || *p++ != ',')
                        return false;
        }
}

bool vmm_json_get_number(struct vmm_text object, const char *key, uint64_t *ret) {
        struct vmm_text text;
        uint64_t value = 0;

        if (!vmm_json_get(object, key, &text) || text.length == 0 || text.length > 20)
                return false;
        for (size_t i = 0; i < text.length; i++) {
                if (text.data[i] < '0' || text.data[i] > '9')
                        return false;
                value = value * 10 + (uint64_t) (text.data[i] - '0');
        }
        *ret = value;
        return true;
}

bool vmm_json_get_bool(struct vmm_text object, const char *key) {
        struct vmm_text text;

        return vmm_json_get(object, key, &text) && text.length == 4 &&
               memcmp(text.data, "true", 4) == 0;
}

static int vmm_json_read_hex(const char *p, const char *end, unsigned *ret) {
        static const char digits[] = "0123456789abcdef";
        unsigned value = 0;

        if (end - p < 4)
                return -1;
        for (int i = 0; i < 4; i++) {
                char c = p[i] >= 'A' && p[i] <= 'F' ? (char) (p[i] - 'A' + 'a') : p[i];
                const char *digit = c ? strchr(digits, c) : NULL;

                if (!digit)
                        return -1;
                value = value << 4 | (unsigned) (digit - digits);
        }
        *ret = value;
        return 0;
}

/* The escape at p, behind the backslash; returns what is behind it, or NULL. */
static const char *vmm_json_unescape(const char *p, const char *end, unsigned *ret) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        unsigned low;

        if (p >= end)
                return NULL;
        if (*p != 'u') {
                at = *p ? strchr(from, *p) : NULL;
                *ret = at ? (unsigned char) to[at - from] : '?';
                return p + 1;
        }
        if (vmm_json_read_hex(p + 1, end, ret) < 0)
                return NULL;
        p += 5;
        if (*ret >= 0xd800 && *ret < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
            vmm_json_read_hex(p + 2, end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
                *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
        }
        return p;
}

static size_t vmm_json_encode(unsigned code, char ret[4]) {
        if (code < 0x80) {
                ret[0] = (char) (code > 0 ? code : '?');
                return 1;
        }
        if (code < 0x800) {
                ret[0] = (char) (0xc0 | code >> 6);
                ret[1] = (char) (0x80 | (code & 0x3f));
                return 2;
        }
        if (code < 0x10000) {
                ret[0] = (char) (0xe0 | code >> 12);
                ret[1] = (char) (0x80 | (code >> 6 & 0x3f));
                ret[2] = (char) (0x80 | (code & 0x3f));
                return 3;
        }
        ret[0] = (char) (0xf0 | code >> 18);
        ret[1] = (char) (0x80 | (code >> 12 & 0x3f));
        ret[2] = (char) (0x80 | (code >> 6 & 0x3f));
        ret[3] = (char) (0x80 | (code & 0x3f));
        return 4;
}

bool vmm_json_get_string(struct vmm_text object, const char *key, char *ret, size_t size) {
        struct vmm_text text;
        const char *p, *end;
        size_t n = 0;

        if (!vmm_json_get(object, key, &text) || text.length < 2 || text.data[0] != '"')
                return false;
        p = text.data + 1;
        end = text.data + text.length - 1;
        while (p < end) {
                char bytes[4] = { *p };
                size_t length = 1;
                unsigned code;

                if (*p == '\\') {
                        p = vmm_json_unescape(p + 1, end, &code);
                        if (!p)
                                return false;
                        length = vmm_json_encode(code, bytes);
                } else {
                        p++;
                }
                if (n + length >= size)
                        break;
                memcpy(ret + n, bytes, length);
                n += length;
        }
        ret[n] = '\0';
        return true;
}

bool vmm_json_is_object(struct vmm_text text) {
        const char *end = text.data + text.length, *p = vmm_json_skip_space(text.data, end);

        if (p >= end || *p != '{')
                return false;
        p = vmm_json_skip(p, end);
        return p && vmm_json_skip_space(p, end) == end;
}
