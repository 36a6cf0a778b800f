/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The grammar of tokens is json_lexer_step(), found by asking a QEMU 7.2 what it answers. It differs
 * from RFC 8259 in this: strings may have single quotes, an exponent can't follow a lone zero, any
 * escape goes through to the parser, and the bytes FE and FF are errors even within a string, which
 * makes them good for bringing a connection back into a known state.
 */
#include "policy/qapi/json-lexer.h"

#include <errno.h>
#include <stdint.h>

typedef enum ByteClass {
        BYTE_OTHER,   /* means nothing outside strings */
        BYTE_CONTROL, /* below 0x20, without those that follow */
        BYTE_NEWLINE, /* \n \r */
        BYTE_TAB,
        BYTE_SPACE,
        BYTE_STRUCTURAL, /* {}[]:, */
        BYTE_DOUBLE_QUOTE,
        BYTE_SINGLE_QUOTE,
        BYTE_BACKSLASH,
        BYTE_MINUS,
        BYTE_PLUS,
        BYTE_POINT,
        BYTE_ZERO,
        BYTE_DIGIT, /* 1 to 9 */
        BYTE_SMALL_E,
        BYTE_LARGE_E,
        BYTE_LETTER, /* a to z without e */
        BYTE_NEVER,  /* FE FF */
} ByteClass;

static const uint8_t byte_classes[256] = {
        [0x00 ... 0x08] = BYTE_CONTROL,
        ['\t'] = BYTE_TAB,
        ['\n'] = BYTE_NEWLINE,
        [0x0B ... 0x0C] = BYTE_CONTROL,
        ['\r'] = BYTE_NEWLINE,
        [0x0E ... 0x1F] = BYTE_CONTROL,
        [' '] = BYTE_SPACE,
        ['"'] = BYTE_DOUBLE_QUOTE,
        ['\''] = BYTE_SINGLE_QUOTE,
        ['\\'] = BYTE_BACKSLASH,
        ['{'] = BYTE_STRUCTURAL,
        ['}'] = BYTE_STRUCTURAL,
        ['['] = BYTE_STRUCTURAL,
        [']'] = BYTE_STRUCTURAL,
        [':'] = BYTE_STRUCTURAL,
        [','] = BYTE_STRUCTURAL,
        ['-'] = BYTE_MINUS,
        ['+'] = BYTE_PLUS,
        ['.'] = BYTE_POINT,
        ['0'] = BYTE_ZERO,
        ['1' ... '9'] = BYTE_DIGIT,
        ['E'] = BYTE_LARGE_E,
        ['a' ... 'd'] = BYTE_LETTER,
        ['e'] = BYTE_SMALL_E,
        ['f' ... 'z'] = BYTE_LETTER,
        [0xFE ... 0xFF] = BYTE_NEVER,
};

/* Sets of classes */
#define BYTE(class) (1U << BYTE_##class)
#define BYTES_CONTROL (BYTE(CONTROL) | BYTE(NEWLINE) | BYTE(TAB))
#define BYTES_SPACE (BYTE(NEWLINE) | BYTE(TAB) | BYTE(SPACE))
#define BYTES_DIGIT (BYTE(ZERO) | BYTE(DIGIT))
#define BYTES_EXPONENT (BYTE(SMALL_E) | BYTE(LARGE_E))
#define BYTES_LETTER (BYTE(LETTER) | BYTE(SMALL_E))
/* What ends the skipping after an error. A tab doesn't, other control characters do. */
#define BYTES_RECOVERY (BYTE(CONTROL) | BYTE(NEWLINE) | BYTE(STRUCTURAL) | BYTE(NEVER))
#define BYTES_NOT_IN_STRING (BYTES_CONTROL | BYTE(NEVER))
/* What ends a run of bytes that need no thought within either kind of string. */
#define BYTES_STRING_STOP                                                                          \
        (BYTES_NOT_IN_STRING | BYTE(BACKSLASH) | BYTE(DOUBLE_QUOTE) | BYTE(SINGLE_QUOTE))

typedef enum LexerState {
        LEXER_START, /* between tokens */
        LEXER_RECOVERY,
        LEXER_DOUBLE, /* "... */
        LEXER_DOUBLE_ESCAPE,
        LEXER_SINGLE, /* '... */
        LEXER_SINGLE_ESCAPE,
        LEXER_MINUS,
        LEXER_ZERO,
        LEXER_DIGITS,
        LEXER_POINT,
        LEXER_FRACTION,
        LEXER_EXPONENT,
        LEXER_EXPONENT_SIGN,
        LEXER_EXPONENT_DIGITS,
        LEXER_KEYWORD,
        /* What only json_lexer_step() says */
        LEXER_BEFORE, /* the token ended before this byte */
        LEXER_WITH,   /* the token ends with this byte */
        LEXER_STRAY,  /* this byte can't be here */
} LexerState;

static unsigned byte_set(char c) {
        return 1U << byte_classes[(uint8_t) c];
}

static LexerState json_lexer_step_start(unsigned byte) {
        if (byte & BYTE(STRUCTURAL))
                return LEXER_WITH;
        if (byte & BYTE(DOUBLE_QUOTE))
                return LEXER_DOUBLE;
        if (byte & BYTE(SINGLE_QUOTE))
                return LEXER_SINGLE;
        if (byte & BYTE(MINUS))
                return LEXER_MINUS;
        if (byte & BYTE(ZERO))
                return LEXER_ZERO;
        if (byte & BYTE(DIGIT))
                return LEXER_DIGITS;
        if (byte & BYTES_LETTER)
                return LEXER_KEYWORD;

        return LEXER_STRAY;
}

/* Within a string that `quote` ends; the state after a backslash is the one that follows `state`. */
static LexerState json_lexer_step_string(LexerState state, unsigned byte, unsigned quote) {
        if (byte & quote)
                return LEXER_WITH;
        if (byte & BYTE(BACKSLASH))
                return state + 1;

        return byte & BYTES_NOT_IN_STRING ? LEXER_STRAY : state;
}

static LexerState json_lexer_step(LexerState state, unsigned byte) {
        switch (state) {
        case LEXER_START:
                return json_lexer_step_start(byte);
        case LEXER_DOUBLE:
                return json_lexer_step_string(state, byte, BYTE(DOUBLE_QUOTE));
        case LEXER_SINGLE:
                return json_lexer_step_string(state, byte, BYTE(SINGLE_QUOTE));
        case LEXER_DOUBLE_ESCAPE:
        case LEXER_SINGLE_ESCAPE:
                return byte & BYTES_NOT_IN_STRING ? LEXER_STRAY : state - 1;
        case LEXER_MINUS:
                return byte & BYTES_DIGIT ? json_lexer_step_start(byte) : LEXER_STRAY;
        case LEXER_ZERO:
                if (byte & BYTE(POINT))
                        return LEXER_POINT;
                return byte & BYTES_DIGIT ? LEXER_STRAY : LEXER_BEFORE;
        case LEXER_DIGITS:
                if (byte & BYTES_DIGIT)
                        return LEXER_DIGITS;
                if (byte & BYTE(POINT))
                        return LEXER_POINT;
                return byte & BYTES_EXPONENT ? LEXER_EXPONENT : LEXER_BEFORE;
        case LEXER_POINT:
                return byte & BYTES_DIGIT ? LEXER_FRACTION : LEXER_STRAY;
        case LEXER_FRACTION:
                if (byte & BYTES_DIGIT)
                        return LEXER_FRACTION;
                return byte & BYTES_EXPONENT ? LEXER_EXPONENT : LEXER_BEFORE;
        case LEXER_EXPONENT:
                if (byte & (BYTE(MINUS) | BYTE(PLUS)))
                        return LEXER_EXPONENT_SIGN;
                return byte & BYTES_DIGIT ? LEXER_EXPONENT_DIGITS : LEXER_STRAY;
        case LEXER_EXPONENT_SIGN:
                return byte & BYTES_DIGIT ? LEXER_EXPONENT_DIGITS : LEXER_STRAY;
        case LEXER_EXPONENT_DIGITS:
                return byte & BYTES_DIGIT ? LEXER_EXPONENT_DIGITS : LEXER_BEFORE;
        case LEXER_KEYWORD:
                return byte & BYTES_LETTER ? LEXER_KEYWORD : LEXER_BEFORE;
        case LEXER_RECOVERY:
        case LEXER_BEFORE:
        case LEXER_WITH:
        case LEXER_STRAY:
                break;
        }

        return LEXER_STRAY;
}

/* Which token has ended in `state`; c is the byte it began with. */
static JsonToken json_lexer_classify(LexerState state, char c) {
        if (state == LEXER_KEYWORD)
                return JSON_TOKEN_KEYWORD;
        if (state == LEXER_DOUBLE || state == LEXER_SINGLE)
                return JSON_TOKEN_STRING;
        if (state != LEXER_START)
                return state <= LEXER_DIGITS ? JSON_TOKEN_INTEGER : JSON_TOKEN_FLOAT;

        return c == '{'   ? JSON_TOKEN_LCURLY
               : c == '}' ? JSON_TOKEN_RCURLY
               : c == '[' ? JSON_TOKEN_LSQUARE
               : c == ']' ? JSON_TOKEN_RSQUARE
               : c == ':' ? JSON_TOKEN_COLON
                          : JSON_TOKEN_COMMA;
}

void json_lexer_deinit(JsonLexer *lexer) {
        buffer_deinit(&lexer->partial);
}

bool json_lexer_is_inside(const JsonLexer *lexer) {
        return lexer->state > LEXER_RECOVERY;
}

/* Skips what lies before a token and returns where that begins. */
static const char *json_lexer_skip(JsonLexer *lexer, const char *p, const char *end) {
        if (lexer->state == LEXER_RECOVERY) {
                while (p < end && !(byte_set(*p) & BYTES_RECOVERY))
                        p++;
                if (p < end)
                        lexer->state = LEXER_START;
        }
        if (lexer->state == LEXER_START)
                while (p < end && byte_set(*p) & BYTES_SPACE)
                        p++;

        return p;
}

/* Moves *p behind the token or to `stop`, and returns how the token ended, or the state it is in. */
static LexerState json_lexer_run(LexerState state,
                                 const char **p,
                                 const char *stop,
                                 LexerState *ret_last) {
        LexerState next = state;

        while (*p < stop && next < LEXER_BEFORE) {
                state = next;
                if (state == LEXER_DOUBLE || state == LEXER_SINGLE)
                        while (*p < stop && !(byte_set(**p) & BYTES_STRING_STOP))
                                (*p)++;
                if (*p == stop)
                        break;
                next = json_lexer_step(state, byte_set(**p));
                if (next != LEXER_BEFORE)
                        (*p)++;
        }

        *ret_last = state;
        return next;
}

int json_lexer_next(JsonLexer *lexer, const char **data, const char *end, size_t limit, JsonText *ret) {
        const char *start, *p;
        LexerState last, next;
        size_t before;
        int r;

        if (lexer->taken) {
                lexer->taken = false;
                buffer_deinit(&lexer->partial);
        }

        start = p = json_lexer_skip(lexer, *data, end);
        before = buffer_length(&lexer->partial);
        next = json_lexer_run(lexer->state,
                              &p,
                              (size_t) (end - start) <= limit - before ? end
                                                                       : start + (limit - before) + 1,
                              &last);
        *data = p;
        if (p == start && next < LEXER_BEFORE)
                return JSON_TOKEN_NONE;
        if (before + (size_t) (p - start) > limit) {
                buffer_deinit(&lexer->partial);
                lexer->state = LEXER_RECOVERY;
                return JSON_TOKEN_TOO_LONG;
        }

        *ret = (JsonText){ start, (size_t) (p - start) };
        if (before > 0 || next < LEXER_BEFORE) {
                r = buffer_append(&lexer->partial, start, (size_t) (p - start));
                if (r < 0)
                        return r;
                *ret = (JsonText){ buffer_content(&lexer->partial), buffer_length(&lexer->partial) };
        }
        if (next < LEXER_BEFORE) {
                lexer->state = next;
                return JSON_TOKEN_NONE;
        }

        lexer->taken = true;
        lexer->state = next == LEXER_STRAY ? LEXER_RECOVERY : LEXER_START;
        return next == LEXER_STRAY ? JSON_TOKEN_STRAY : json_lexer_classify(last, ret->data[0]);
}
