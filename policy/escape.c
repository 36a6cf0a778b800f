/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/escape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/qapi/json-utf8.h"
#include "policy/util/buffer.h"

/* Characters that show nothing and change how the rest reads (Unicode categories Cf, Zl and Zp,
 * where a terminal acts on them or hides them). */
static bool escape_is_deceiving(uint32_t c) {
        static const struct {
                uint32_t first, last;
        } ranges[] = {
                { 0x00ad, 0x00ad }, { 0x061c, 0x061c }, { 0x180e, 0x180e },
                { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
                { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
        };

        for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

static int escape_bytes(Buffer *out, const char *s, size_t n) {
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = buffer_printf(out, "\\x%02X", (unsigned char) s[i]);
        return r;
}

char *escape_string(const char *s, size_t n) {
        Buffer out = BUFFER_NULL;
        char *ret;
        int r = 0;

        for (size_t i = 0, length; i < n && r == 0; i += length) {
                uint32_t c = json_utf8_decode(s + i, n - i, &length);

                if (c == JSON_UTF8_INVALID)
                        r = escape_bytes(&out, s + i, length);
                else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
                        r = buffer_printf(&out, "\\x%02X", c);
                else if (escape_is_deceiving(c))
                        r = buffer_printf(&out, "\\u{%04X}", c);
                else
                        r = buffer_append(&out, s + i, length);
        }
        ret = r < 0 ? NULL : buffer_take_string(&out);
        buffer_deinit(&out);
        return ret;
}

static int escape_object(json_object *value, json_object **ret) {
        json_object *copy = json_object_new_object();
        int r = copy ? 0 : -ENOMEM;

        json_object_object_foreach(value, key, member) {
                _cleanup_free_ char *name = r == 0 ? escape_string(key, strlen(key)) : NULL;
                json_object *escaped = NULL;

                if (r < 0)
                        break;
                r = name ? escape_json(member, &escaped) : -ENOMEM;
                if (r == 0 && json_object_object_add(copy, name, escaped) < 0) {
                        json_object_put(escaped);
                        r = -ENOMEM;
                }
        }
        if (r < 0) {
                json_object_put(copy);
                return r;
        }
        *ret = copy;
        return 0;
}

static int escape_array(json_object *value, json_object **ret) {
        size_t n = json_object_array_length(value);
        json_object *copy = json_object_new_array();
        int r = copy ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && r == 0; i++) {
                json_object *escaped = NULL;

                r = escape_json(json_object_array_get_idx(value, i), &escaped);
                if (r == 0 && json_object_array_add(copy, escaped) < 0) {
                        json_object_put(escaped);
                        r = -ENOMEM;
                }
        }
        if (r < 0) {
                json_object_put(copy);
                return r;
        }
        *ret = copy;
        return 0;
}

/* As deep as the JSON reader's own limit lets a message be. */
int escape_json(json_object *value, json_object **ret) {
        _cleanup_free_ char *s = NULL;

        if (json_object_is_type(value, json_type_object))
                return escape_object(value, ret);
        if (json_object_is_type(value, json_type_array))
                return escape_array(value, ret);
        if (!json_object_is_type(value, json_type_string)) {
                *ret = json_object_get(value);
                return 0;
        }
        s = escape_string(json_object_get_string(value), (size_t) json_object_get_string_len(value));
        if (!s)
                return -ENOMEM;
        *ret = json_object_new_string(s);
        return *ret ? 0 : -ENOMEM;
}
