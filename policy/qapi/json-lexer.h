/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Bytes to tokens. A token that lies whole in one piece of input is handed out in place; one that is
 * cut between two pieces is collected. After a byte that can't be (an error QEMU calls "stray") input
 * is skipped up to the next byte that a message may begin or end with.
 */
#include <stdbool.h>
#include <stddef.h>

#include "policy/util/buffer.h"

typedef enum JsonToken {
        JSON_TOKEN_NONE, /* the input is used up */
        JSON_TOKEN_LCURLY,
        JSON_TOKEN_RCURLY,
        JSON_TOKEN_LSQUARE,
        JSON_TOKEN_RSQUARE,
        JSON_TOKEN_COLON,
        JSON_TOKEN_COMMA,
        JSON_TOKEN_STRING, /* with its quotes, either kind; escapes and UTF-8 are not checked */
        JSON_TOKEN_INTEGER,
        JSON_TOKEN_FLOAT,
        JSON_TOKEN_KEYWORD,  /* lower-case letters */
        JSON_TOKEN_STRAY,    /* ends with the byte that can't be there */
        JSON_TOKEN_TOO_LONG, /* for the limit; has no text */
} JsonToken;

typedef struct JsonText {
        const char *data; /* borrowed until the next call */
        size_t length;
} JsonText;

typedef struct JsonLexer {
        unsigned state;
        bool taken;     /* `partial` was handed out as a token */
        Buffer partial; /* what earlier input held of a cut token */
} JsonLexer;

#define JSON_LEXER_NULL                                                                            \
        {}

void json_lexer_deinit(JsonLexer *lexer);
/* The next token of [*data, end); *data moves behind it. A number or a keyword ends only before the
 * byte that follows it. A token may have `limit` bytes; where it is cut does not depend on how the
 * input was cut. Returns a JsonToken or -ENOMEM. */
int json_lexer_next(JsonLexer *lexer, const char **data, const char *end, size_t limit, JsonText *ret);
/* True while a token has begun and not ended. */
bool json_lexer_is_inside(const JsonLexer *lexer);
