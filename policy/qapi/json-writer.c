/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values to text. An id is echoed as deep as a client nested it, so the walk has a stack of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/qapi/json-utf8.h"
#include "policy/qapi/json.h"

/* Containers open at once before the stack leaves the C stack: replies are shallow. */
#define LEVELS_INLINE 16

/* Spaces of JSON_STYLE_PRETTY for each level */
#define INDENT 4

/* A container of which members are still to be written. */
typedef struct JsonLevel {
        json_object *container;
        struct lh_entry *entry; /* next member of an object */
        size_t index;           /* next member of an array */
        bool begun;             /* a member has been written */
} JsonLevel;

typedef struct JsonWriter {
        Buffer *out;
        JsonStyle style;
        JsonLevel levels_inline[LEVELS_INLINE];
        JsonLevel *levels;
        size_t n_levels, size_levels;
} JsonWriter;

static int json_write_character(Buffer *out, uint32_t c) {
        static const char escapes[128] = {
                ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
        };
        char text[sizeof("\\uD83D\\uDE00")];
        int n;

        if (c < ELEMENTSOF(escapes) && escapes[c] != 0)
                n = snprintf(text, sizeof(text), "\\%c", escapes[c]);
        else if (c < 0x10000)
                n = snprintf(text, sizeof(text), "\\u%04" PRIX32, c);
        else
                n = snprintf(text,
                             sizeof(text),
                             "\\u%04" PRIX32 "\\u%04" PRIX32,
                             0xD800 | (c - 0x10000) >> 10,
                             0xDC00 | (c & 0x3FF));

        return buffer_append(out, text, (size_t) n);
}

static bool json_write_is_plain(char c) {
        return c >= ' ' && c < 0x7F && c != '"' && c != '\\';
}

int json_write_string(Buffer *out, const char *s, size_t n) {
        const char *end = s + n, *run;
        size_t length;
        uint32_t c;
        int r;

        r = buffer_append_char(out, '"');
        while (r == 0 && s < end) {
                for (run = s; s < end && json_write_is_plain(*s); s++)
                        ;
                r = buffer_append(out, run, (size_t) (s - run));
                if (r < 0 || s == end)
                        break;
                c = json_utf8_decode(s, (size_t) (end - s), &length);
                s += length;
                r = json_write_character(out, c == JSON_UTF8_INVALID ? 0xFFFD : c);
        }

        return r < 0 ? r : buffer_append_char(out, '"');
}

/* Anything but an object or array with members */
static int json_write_scalar(Buffer *out, json_object *value) {
        char number[32];
        int n;

        switch (json_object_get_type(value)) {
        case json_type_null:
                return buffer_append_string(out, "null");
        case json_type_boolean:
                return buffer_append_string(out, json_object_get_boolean(value) ? "true" : "false");
        case json_type_string:
                return json_write_string(out,
                                         json_object_get_string(value),
                                         (size_t) json_object_get_string_len(value));
        case json_type_double:
                n = snprintf(number, sizeof(number), "%.17g", json_object_get_double(value));
                return buffer_append(out, number, (size_t) n);
        case json_type_int:
                /* json-c keeps a value as unsigned only where it is larger than INT64_MAX. */
                if (json_object_get_int64(value) == INT64_MAX)
                        n = snprintf(number, sizeof(number), "%" PRIu64, json_object_get_uint64(value));
                else
                        n = snprintf(number, sizeof(number), "%" PRId64, json_object_get_int64(value));
                return buffer_append(out, number, (size_t) n);
        case json_type_object:
        case json_type_array:
                break;
        }

        return -EINVAL;
}

static int json_writer_new_line(JsonWriter *w) {
        int r;

        if (w->style != JSON_STYLE_PRETTY)
                return 0;

        r = buffer_append_char(w->out, '\n');
        for (size_t i = 0; r == 0 && i < w->n_levels * INDENT; i++)
                r = buffer_append_char(w->out, ' ');
        return r;
}

static int json_writer_grow(JsonWriter *w) {
        size_t size = w->size_levels * 2;
        bool first = w->levels == w->levels_inline;
        JsonLevel *levels;

        levels = reallocarray(first ? NULL : w->levels, size, sizeof(*levels));
        if (!levels)
                return -ENOMEM;
        if (first)
                memcpy(levels, w->levels_inline, sizeof(w->levels_inline));
        w->levels = levels;
        w->size_levels = size;
        return 0;
}

static int json_writer_write_value(JsonWriter *w, json_object *value) {
        bool object = json_object_is_type(value, json_type_object);
        int r = 0;

        if (!object && !json_object_is_type(value, json_type_array))
                return json_write_scalar(w->out, value);

        if (w->n_levels == w->size_levels)
                r = json_writer_grow(w);
        if (r < 0)
                return r;

        w->levels[w->n_levels++] = (JsonLevel){
                .container = value,
                .entry = object ? lh_table_head(json_object_get_object(value)) : NULL,
        };
        return buffer_append_char(w->out, object ? '{' : '[');
}

static int json_writer_write_separator(JsonWriter *w, JsonLevel *level) {
        int r;

        if (level->begun) {
                r = buffer_append_string(w->out, w->style == JSON_STYLE_PRETTY ? "," : ", ");
                if (r < 0)
                        return r;
        }

        level->begun = true;
        return json_writer_new_line(w);
}

/* Writes one more member of the innermost container, or its end. */
static int json_writer_step(JsonWriter *w) {
        JsonLevel *level = &w->levels[w->n_levels - 1];
        bool object = json_object_is_type(level->container, json_type_object);
        struct lh_entry *entry = level->entry;
        int r;

        if (object ? !entry : level->index == json_object_array_length(level->container)) {
                w->n_levels--;
                r = json_writer_new_line(w);
                return r < 0 ? r : buffer_append_char(w->out, object ? '}' : ']');
        }

        r = json_writer_write_separator(w, level);
        if (r < 0)
                return r;
        if (!object)
                return json_writer_write_value(w,
                                               json_object_array_get_idx(level->container,
                                                                         level->index++));

        level->entry = lh_entry_next(entry);
        r = json_write_string(w->out, lh_entry_k(entry), strlen(lh_entry_k(entry)));
        if (r == 0)
                r = buffer_append(w->out, ": ", 2);
        return r < 0 ? r : json_writer_write_value(w, lh_entry_v(entry));
}

int json_write(Buffer *out, json_object *value, JsonStyle style) {
        size_t length = buffer_length(out);
        JsonWriter w = { .out = out, .style = style, .size_levels = LEVELS_INLINE };
        int r;

        w.levels = w.levels_inline;
        r = json_writer_write_value(&w, value);
        while (r == 0 && w.n_levels > 0)
                r = json_writer_step(&w);

        if (w.levels != w.levels_inline)
                free(w.levels);
        if (r < 0)
                out->end = out->start + length;
        return r;
}
