/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tokens to values. The difficulty is to fail as QEMU does: it collects the tokens of a message
 * until its braces and brackets balance (or one closes too many), each kind counted for itself, and
 * parses then. So an error does not end a message: tokens are counted on, the first error is kept
 * and told when the message is over; a lexical error or a limit drops the message, and what is left
 * of it is read as if it were new ones.
 *
 * A tree is built as the tokens come, with a stack of our own: input decides how deep.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/qapi/json-lexer.h"
#include "policy/qapi/json-scalar.h"
#include "policy/qapi/json.h"

/* Places on the stack with the first container of a message; doubled when they are used up. */
#define FRAMES_MIN 8

/* Members of an array made room for at first: most are short, and json-c's 32 add up in [[],[],... */
#define ARRAY_MIN 4

typedef enum JsonExpect {
        JSON_EXPECT_VALUE, /* 0: of a new message, or after a comma or colon */
        JSON_EXPECT_FIRST, /* after an opening: the first value or key, or the closing */
        JSON_EXPECT_COLON,
        JSON_EXPECT_SEPARATOR, /* a comma or the closing */
} JsonExpect;

/* A container that is being filled. */
typedef struct JsonFrame {
        json_object *container;
        json_object *key; /* of an object: whose value comes next; NULL while a key is to come */
} JsonFrame;

struct JsonStream {
        JsonLimits limits;
        JsonMessageFunc func;
        void *userdata;
        JsonLexer lexer;

        /* Of the message under way */
        size_t bytes, tokens;
        int braces, brackets;
        JsonExpect expect;
        JsonFrame *frames;
        unsigned n_frames, size_frames;
        json_object *root;
        char *error;
};

int json_stream_new(JsonStream **ret, const JsonLimits *limits, JsonMessageFunc func, void *userdata) {
        JsonStream *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        s->limits = *limits;
        s->func = func;
        s->userdata = userdata;
        *ret = s;
        return 0;
}

/* Forgets the message under way. */
static void json_stream_drop(JsonStream *s) {
        for (unsigned i = 0; i < s->n_frames; i++) {
                json_object_put(s->frames[i].key);
                json_object_put(s->frames[i].container);
        }
        free(s->frames);
        json_object_put(s->root);
        free(s->error);
        s->frames = NULL;
        s->n_frames = s->size_frames = 0;
        s->root = NULL;
        s->error = NULL;
        s->bytes = s->tokens = 0;
        s->braces = s->brackets = 0;
        s->expect = JSON_EXPECT_VALUE;
}

JsonStream *json_stream_free(JsonStream *s) {
        if (!s)
                return NULL;

        json_stream_drop(s);
        json_lexer_deinit(&s->lexer);
        free(s);
        return NULL;
}

bool json_stream_is_inside(const JsonStream *s) {
        return s->tokens > 0 || json_lexer_is_inside(&s->lexer);
}

size_t json_stream_memory(const JsonStream *s) {
        return sizeof(*s) + s->lexer.partial.size + s->size_frames * sizeof(JsonFrame);
}

/* Ends the message: tells of its value or error and forgets it. */
static int json_stream_finish(JsonStream *s) {
        _cleanup_(json_object_putp) json_object *value = TAKE_PTR(s->root);
        _cleanup_free_ char *error = TAKE_PTR(s->error);

        json_stream_drop(s);
        return s->func(value, error, s->userdata);
}

/* Drops the message for an error that does not wait for its end. Takes the error, NULL: no memory. */
static int json_stream_abort(JsonStream *s, char *error) {
        json_stream_drop(s);
        s->error = error;
        return error ? json_stream_finish(s) : -ENOMEM;
}

/* The first error of the message; from here on its tokens are only counted. */
static int json_stream_fail(JsonStream *s, const char *what) {
        return asprintf(&s->error, "JSON parse error, %s", what) < 0 ? -ENOMEM : 0;
}

static JsonFrame *json_stream_get_frame(JsonStream *s) {
        return s->n_frames > 0 ? &s->frames[s->n_frames - 1] : NULL;
}

static int json_stream_open(JsonStream *s, json_object *container) {
        JsonFrame *frames;
        unsigned size;

        if (!container)
                return -ENOMEM;

        if (s->n_frames == s->size_frames) {
                size = s->size_frames > 0 ? s->size_frames * 2 : FRAMES_MIN;
                frames = reallocarray(s->frames, size, sizeof(*frames));
                if (!frames) {
                        json_object_put(container);
                        return -ENOMEM;
                }
                s->frames = frames;
                s->size_frames = size;
        }

        s->frames[s->n_frames++] = (JsonFrame){ .container = container };
        s->expect = JSON_EXPECT_FIRST;
        return 0;
}

/* A value is complete: puts it where it belongs. Takes it. */
static int json_stream_add(JsonStream *s, json_object *taken) {
        _cleanup_(json_object_putp) json_object *value = taken;
        _cleanup_(json_object_putp) json_object *key = NULL;
        JsonFrame *frame = json_stream_get_frame(s);
        int r;

        s->expect = JSON_EXPECT_SEPARATOR;
        if (!frame) {
                s->root = TAKE_PTR(value);
                return 0;
        }

        if (json_object_is_type(frame->container, json_type_array)) {
                r = json_object_array_add(frame->container, value);
        } else if (!frame->key) {
                if (!json_object_is_type(value, json_type_string))
                        return json_stream_fail(s, "key is not a string in object");
                frame->key = TAKE_PTR(value);
                s->expect = JSON_EXPECT_COLON;
                return 0;
        } else {
                key = TAKE_PTR(frame->key);
                if (json_object_object_get_ex(frame->container, json_object_get_string(key), NULL))
                        return json_stream_fail(s, "duplicate key");
                r = json_object_object_add_ex(frame->container,
                                              json_object_get_string(key),
                                              value,
                                              JSON_C_OBJECT_ADD_KEY_IS_NEW);
        }
        if (r < 0)
                return -ENOMEM;

        TAKE_PTR(value);
        return 0;
}

static int json_stream_close(JsonStream *s) {
        json_object *container = s->frames[--s->n_frames].container;

        return json_stream_add(s, container);
}

static int json_stream_push_value(JsonStream *s, JsonToken token, const JsonText *text) {
        json_object *value;
        int r;

        switch (token) {
        case JSON_TOKEN_LCURLY:
                return json_stream_open(s, json_object_new_object());
        case JSON_TOKEN_LSQUARE:
                return json_stream_open(s, json_object_new_array_ext(ARRAY_MIN));
        case JSON_TOKEN_STRING:
        case JSON_TOKEN_INTEGER:
        case JSON_TOKEN_FLOAT:
        case JSON_TOKEN_KEYWORD:
                r = json_scalar_parse(token, text, &value, &s->error);
                return r == 0 ? json_stream_add(s, value) : r < 0 ? r : 0;
        case JSON_TOKEN_RCURLY:
        case JSON_TOKEN_RSQUARE:
        case JSON_TOKEN_COLON:
        case JSON_TOKEN_COMMA:
        case JSON_TOKEN_NONE:
        case JSON_TOKEN_STRAY:
        case JSON_TOKEN_TOO_LONG:
                break;
        }

        return json_stream_fail(s, "expecting value");
}

/* The parser proper, of a message that has no error yet. */
static int json_stream_push_token(JsonStream *s, JsonToken token, const JsonText *text) {
        JsonFrame *frame = json_stream_get_frame(s);
        bool list = frame && json_object_is_type(frame->container, json_type_array);
        JsonToken closing = list ? JSON_TOKEN_RSQUARE : JSON_TOKEN_RCURLY;

        switch (s->expect) {
        case JSON_EXPECT_FIRST:
                if (token == closing)
                        return json_stream_close(s);
                return json_stream_push_value(s, token, text);
        case JSON_EXPECT_VALUE:
                return json_stream_push_value(s, token, text);
        case JSON_EXPECT_COLON:
                if (token != JSON_TOKEN_COLON)
                        return json_stream_fail(s, "missing : in object pair");
                s->expect = JSON_EXPECT_VALUE;
                return 0;
        case JSON_EXPECT_SEPARATOR:
                if (token == closing)
                        return json_stream_close(s);
                if (token != JSON_TOKEN_COMMA)
                        return json_stream_fail(s,
                                                list ? "expected separator in list"
                                                     : "expected separator in dict");
                s->expect = JSON_EXPECT_VALUE;
                return 0;
        }

        return -EINVAL;
}

static int json_stream_push(JsonStream *s, JsonToken token, const JsonText *text) {
        char *error;
        int r;

        if (token == JSON_TOKEN_STRAY) {
                /* As in QEMU the text ends at a NUL byte. */
                r = asprintf(&error, "JSON parse error, stray '%.*s'", (int) text->length, text->data);
                return json_stream_abort(s, r < 0 ? NULL : error);
        }
        if (token == JSON_TOKEN_TOO_LONG)
                return json_stream_abort(s, strdup("JSON token size limit exceeded"));

        s->bytes += text->length;
        s->tokens++;
        s->braces += (token == JSON_TOKEN_LCURLY) - (token == JSON_TOKEN_RCURLY);
        s->brackets += (token == JSON_TOKEN_LSQUARE) - (token == JSON_TOKEN_RSQUARE);
        if (s->tokens > s->limits.tokens)
                return json_stream_abort(s, strdup("JSON token count limit exceeded"));
        if (s->braces + s->brackets > (int) s->limits.depth)
                return json_stream_abort(s, strdup("JSON nesting depth limit exceeded"));

        if (!s->error) {
                r = json_stream_push_token(s, token, text);
                if (r < 0)
                        return r;
        }
        if (s->braces < 0 || s->brackets < 0 || (s->braces == 0 && s->brackets == 0))
                return json_stream_finish(s);

        return 0;
}

int json_stream_feed(JsonStream *s, const char *data, size_t n, size_t *ret_used) {
        const char *p = data;
        JsonText text;
        int r = 0;

        while (r == 0) {
                r = json_lexer_next(&s->lexer, &p, data + n, s->limits.bytes - s->bytes, &text);
                if (r <= 0)
                        break;
                r = json_stream_push(s, (JsonToken) r, &text);
        }

        if (ret_used)
                *ret_used = (size_t) (p - data);
        return r;
}

/* What json_parse() has found so far. */
typedef struct JsonSingle {
        json_object *value;
        char *error;
        bool found;
} JsonSingle;

static int json_parse_message(json_object *value, const char *error, void *userdata) {
        JsonSingle *single = userdata;

        if (single->found)
                error = "Expecting at most one JSON value";
        if (error) {
                single->error = strdup(error);
                return single->error ? -EINVAL : -ENOMEM;
        }

        single->value = json_object_get(value);
        single->found = true;
        return 0;
}

int json_parse(const char *text, size_t n, json_object **ret, char **ret_error) {
        _cleanup_(json_stream_freep) JsonStream *s = NULL;
        _cleanup_(json_object_putp) json_object *value = NULL;
        _cleanup_free_ char *error = NULL;
        JsonSingle single = {};
        int r;

        r = json_stream_new(&s, &JSON_LIMITS_BACKEND, json_parse_message, &single);
        if (r < 0)
                return r;

        r = json_stream_feed(s, text, n, NULL);
        /* The space ends a number, and changes nothing else. */
        if (r == 0)
                r = json_stream_feed(s, " ", 1, NULL);
        if (r == 0 && (!single.found || json_stream_is_inside(s)))
                r = json_parse_message(NULL, "JSON parse error, premature EOI", &single);

        value = single.value;
        error = single.error;
        if (r < 0) {
                if (ret_error)
                        *ret_error = TAKE_PTR(error);
                return r;
        }

        *ret = TAKE_PTR(value);
        return 0;
}
