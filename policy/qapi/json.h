/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * QMP's dialect of JSON, in and out, with a json-c tree between: what json-c's own parser and
 * printer do differently from QEMU (facts: escapes, spacing, 64-bit numbers, duplicate keys, single
 * quotes, resynchronisation) would be seen by clients.
 *
 * A JSON null is a NULL json_object, as everywhere in json-c. Strings and keys are C strings: U+0000
 * is kept as the bytes C0 80 within the tree (json-utf8.h). Numbers need LC_NUMERIC to be "C".
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "policy/util/buffer.h"

typedef struct JsonStream JsonStream;

DEFINE_CLEANUP(json_object *, json_object_put);

typedef struct JsonLimits {
        size_t bytes;   /* of the tokens of one message, and of a single token */
        size_t tokens;  /* of one message: 2^17 make a tree of at most 40 MB ("{},{},...") */
        unsigned depth; /* of braces and brackets */
} JsonLimits;

/* What one of our clients may send, and what a QEMU may send (design section 4); the longest thing
 * asked of a QEMU, query-qmp-schema, has some 50,000 tokens. */
#define JSON_LIMITS_CLIENT ((JsonLimits){ .bytes = 1 << 20, .tokens = 1 << 17, .depth = 1024 })
#define JSON_LIMITS_BACKEND ((JsonLimits){ .bytes = 8 << 20, .tokens = 1 << 17, .depth = 1024 })

/*
 * One top-level value, or one error in QEMU's words ("JSON parse error, ..."; not always UTF-8).
 * `value` is borrowed for the call; take a reference to keep it. Return non-zero to stop feeding: that
 * value comes back from json_stream_feed(), and the bytes not yet read stay unread. The stream must
 * not be freed or fed from within.
 */
typedef int (*JsonMessageFunc)(json_object *value, const char *error, void *userdata);

int json_stream_new(JsonStream **ret, const JsonLimits *limits, JsonMessageFunc func, void *userdata);
JsonStream *json_stream_free(JsonStream *stream);
DEFINE_CLEANUP(JsonStream *, json_stream_free);
/* Reads bytes; *ret_used (may be NULL) tells how many when func stopped it. -ENOMEM is fatal. The
 * outcome does not depend on how the bytes are cut into pieces. */
int json_stream_feed(JsonStream *stream, const char *data, size_t n, size_t *ret_used);
/* True while a message has begun and not ended: the peer owes us bytes. */
bool json_stream_is_inside(const JsonStream *stream);
/* Bytes held, apart from the tree under way. An idle stream holds no memory but itself. */
size_t json_stream_memory(const JsonStream *stream);

/* The whole of `text` as one value: for tests, the store and the command line. 0, -ENOMEM, or
 * -EINVAL and *ret_error (may be NULL) in QEMU's words, to be freed. */
int json_parse(const char *text, size_t n, json_object **ret, char **ret_error);

typedef enum JsonStyle {
        JSON_STYLE_QMP,    /* {"a": 1, "b": [1, 2]} */
        JSON_STYLE_PRETTY, /* four spaces of indentation, as -mon pretty=on, with LF */
} JsonStyle;

/* ASCII only, QEMU's escapes. 0, -ENOMEM or -ENOBUFS (the limit of `out`; nothing is appended). */
int json_write(Buffer *out, json_object *value, JsonStyle style);
/* The same for a string that is in no tree, with its quotes. */
int json_write_string(Buffer *out, const char *s, size_t n);
