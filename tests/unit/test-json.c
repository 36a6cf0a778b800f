/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP's dialect of JSON. What is expected was answered by a QEMU 7.2; tests/qemu/qmp-differential.py
 * asks the installed one again. */
#include <errno.h>
#include <stdlib.h>

#include "policy/qapi/json.h"
#include "tests/unit/harness.h"

/* Writes what a stream tells, one line each: a value, or ! and an error. */
static int test_json_message(json_object *value, const char *error, void *userdata) {
        Buffer *out = userdata;
        int r;

        r = error ? buffer_printf(out, "!%s", error) : json_write(out, value, JSON_STYLE_QMP);
        return r < 0 ? r : buffer_append_char(out, '\n');
}

static char *test_json_read_limited(const char *data, size_t n, size_t piece, const JsonLimits *limits) {
        _cleanup_(json_stream_freep) JsonStream *s = NULL;
        Buffer out = BUFFER_NULL;
        size_t used;

        CU_ASSERT_EQUAL_FATAL(json_stream_new(&s, limits, test_json_message, &out), 0);
        for (size_t i = 0; i < n; i += piece) {
                size_t length = n - i < piece ? n - i : piece;
                /* a copy of its own, so that a sanitizer sees a read past the piece */
                _cleanup_free_ char *copy = malloc(length);

                memcpy(copy, data + i, length);
                CU_ASSERT_EQUAL(json_stream_feed(s, copy, length, &used), 0);
                CU_ASSERT_EQUAL(used, length);
        }
        return buffer_take_string(&out);
}

static char *test_json_read(const char *data, size_t n, size_t piece) {
        return test_json_read_limited(data, n, piece, &JSON_LIMITS_CLIENT);
}

typedef struct JsonCase {
        const char *input;
        const char *expected; /* lines of test_json_message() */
        size_t n;             /* 0: strlen(input) */
} JsonCase;

static void test_json_run(const JsonCase *cases, size_t n_cases) {
        for (size_t i = 0; i < n_cases; i++) {
                size_t n = cases[i].n > 0 ? cases[i].n : strlen(cases[i].input);

                for (size_t piece = 1; piece <= n; piece = piece < 4 ? piece + 1 : piece * 2) {
                        _cleanup_free_ char *got = test_json_read(cases[i].input, n, piece);

                        CU_ASSERT_STRING_EQUAL(got, cases[i].expected);
                        if (strcmp(got, cases[i].expected) != 0)
                                fprintf(stderr,
                                        "%s (in pieces of %zu):\n%s instead of\n%s",
                                        cases[i].input,
                                        piece,
                                        got,
                                        cases[i].expected);
                }
        }
}

#define RUN(...)                                                                                   \
        do {                                                                                       \
                static const JsonCase cases[] = { __VA_ARGS__ };                                   \
                test_json_run(cases, ELEMENTSOF(cases));                                           \
        } while (0)

#define ERROR(text) "!JSON parse error, " text "\n"
#define EXPECTING ERROR("expecting value")

static void test_values(void) {
        RUN({ "{}", "{}\n" },
            { "[]", "[]\n" },
            { " {\t\"a\":1,\r\n\"b\" : [ 1 , {\"c\":null} , true, false ] }",
              "{\"a\": 1, \"b\": [1, {\"c\": null}, true, false]}\n" },
            { "'a\"b\\'c'", "\"a\\\"b'c\"\n" },
            { "\"\\\"\\'\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"'\\\\/\\b\\f\\n\\r\\t\"\n" },
            { "\"\"", "\"\"\n" },
            { "[[[]]]", "[[[]]]\n" });
}

static void test_streaming(void) {
        RUN({ "{}{}[]\"a\"'b'", "{}\n{}\n[]\n\"a\"\n\"b\"\n" },
            /* a number or keyword ends where something else begins */
            { "1", "" },
            { "1 ", "1\n" },
            { "1\"str\"", "1\n\"str\"\n" },
            { "1[2]", "1\n[2]\n" },
            { "true null ", "true\nnull\n" },
            { "truenull ", ERROR("invalid keyword 'truenull'") },
            { "1abc ", "1\n" ERROR("invalid keyword 'abc'") },
            { "1,2 ", "1\n" EXPECTING "2\n" },
            { "{},{}", "{}\n" EXPECTING "{}\n" },
            { "{\"a\":bogus", "" });
}

static void test_numbers(void) {
        RUN({ "[0,-0,1.0,-0.0,1.5,0.1,1e3,1E+3,1e-3]",
              "[0, 0, 1, -0, 1.5, 0.10000000000000001, 1000, 1000, 0.001]\n" },
            { "[9223372036854775807,9223372036854775808,18446744073709551615]",
              "[9223372036854775807, 9223372036854775808, 18446744073709551615]\n" },
            { "[18446744073709551616,-9223372036854775808,-9223372036854775809]",
              "[1.8446744073709552e+19, -9223372036854775808, -9.2233720368547758e+18]\n" },
            { "[123456789012345678901234567890,5e-324,1e400,-1e400]",
              "[1.2345678901234568e+29, 4.9406564584124654e-324, inf, -inf]\n" },
            { "[01]", ERROR("stray '01'") EXPECTING },
            { "[-01]", ERROR("stray '-01'") EXPECTING },
            { "[1.]", ERROR("stray '1.]'") },
            { "[1e+]", ERROR("stray '1e+]'") },
            { "[-a]", ERROR("stray '-a'") EXPECTING },
            { "[+1]", ERROR("stray '+'") EXPECTING },
            { "[.5]", ERROR("stray '.'") EXPECTING },
            { "[1.5.5]", ERROR("stray '.'") EXPECTING },
            { "[1-2]", ERROR("expected separator in list") },
            { "[1a]", ERROR("expected separator in list") },
            /* a lone zero has no exponent */
            { "[0e1]", ERROR("expected separator in list") },
            { "[0E1]", ERROR("stray 'E'") EXPECTING },
            { "[0.0e1,1E-0]", "[0, 1]\n" });
}

static void test_strings(void) {
        RUN({ "\"\x7F\xC2\x80\xEF\xBF\xBD\xF0\x9F\x98\x80\"",
              "\"\\u007F\\u0080\\uFFFD\\uD83D\\uDE00\"\n" },
            { "\"\\u0000\\u0041\\u00e9\\uD83d\\ude00\\u20AC\"",
              "\"\\u0000A\\u00E9\\uD83D\\uDE00\\u20AC\"\n" },
            { "\"\xC0\x80\"", "\"\\u0000\"\n" },
            { "\"\xC0\x81\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xED\xA0\xBD\xED\xB8\x80\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xE0\x80\x80\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xF4\x90\x80\x80\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xF8\x80\x80\x80\x80\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xE2\x82\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\x80\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xEF\xBF\xBE\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\xEF\xB7\x90\"", ERROR("invalid UTF-8 sequence in string") },
            { "\"\\x41\"", ERROR("invalid escape sequence in string") },
            { "\"\\\xC3\xA9\"", ERROR("invalid escape sequence in string") },
            { "\"\\q\xC0\x81\"", ERROR("invalid escape sequence in string") },
            { "\"\xC0\x81\\q\"", ERROR("invalid UTF-8 sequence in string") });
}

static void test_unicode_escapes(void) {
        RUN({ "\"\\ud800\"", ERROR("\\ud800 is not a valid Unicode character") },
            { "\"\\uDC00\"", ERROR("\\uDC00 is not a valid Unicode character") },
            { "\"\\ud800\\u0041\"", ERROR("\\ud800 is not a valid Unicode character") },
            { "\"\\ud800\\udc0\"", ERROR("\\ud800 is not a valid Unicode character") },
            { "\"\\ud800\\u\"", ERROR("\\ud800 is not a valid Unicode character") },
            { "\"\\ud800\\udc00\"", "\"\\uD800\\uDC00\"\n" },
            { "\"\\udbff\\udfff\"", ERROR("\\udbff\\udfff is not a valid Unicode character") },
            { "\"\\uffff\"", ERROR("\\uffff is not a valid Unicode character") },
            { "\"\\ufdd0\"", ERROR("\\ufdd0 is not a valid Unicode character") },
            /* four bytes are shown, whatever they are, and no more than there are */
            { "\"\\u12g4\"", ERROR("\\u12g4 is not a valid Unicode character") },
            { "\"\\u12\"", ERROR("\\u12\" is not a valid Unicode character") },
            { "\"\\u\"", ERROR("\\u\" is not a valid Unicode character") },
            { "\"\\u12\\\"4\"", ERROR("\\u12\\\" is not a valid Unicode character") },
            { "\"\\u+123\"", ERROR("\\u+123 is not a valid Unicode character") });
}

static void test_syntax_errors(void) {
        RUN({ "{\"a\"}", ERROR("missing : in object pair") },
            { "{\"a\",1}", ERROR("missing : in object pair") },
            { "{\"a\":}", EXPECTING },
            { "{\"a\":1,}", EXPECTING },
            { "{\"a\"::1}", EXPECTING },
            { "{\"a\":1 \"b\":2}", ERROR("expected separator in dict") },
            { "{1:1}", ERROR("key is not a string in object") },
            { "{null:1}", ERROR("key is not a string in object") },
            { "{[]:1}", ERROR("key is not a string in object") },
            { "{{\"a\":1}:1}", ERROR("key is not a string in object") },
            { "{a:1}", ERROR("invalid keyword 'a'") },
            { "[1,]", EXPECTING },
            { "[,]", EXPECTING },
            { "[\"a\":1]", ERROR("expected separator in list") });
}

static void test_first_error_stays(void) {
        RUN({ "[bogus, \"\\ud800\"]", ERROR("invalid keyword 'bogus'") },
            { "[\"\\q\" bogus]", ERROR("invalid escape sequence in string") },
            { "{\"a\" 1, bogus}{}", ERROR("missing : in object pair") "{}\n" });
}

static void test_duplicate_keys(void) {
        RUN({ "{\"a\":1,\"a\":2}", ERROR("duplicate key") },
            { "[{\"b\":{\"a\":1,\"a\":2}}]", ERROR("duplicate key") },
            { "{\"a\":1,\"\\u0061\":2}", ERROR("duplicate key") },
            { "{\"a\":null,\"a\":null}", ERROR("duplicate key") },
            { "{\"\\u0000\":1,\"\\u0000a\":2}", "{\"\\u0000\": 1, \"\\u0000a\": 2}\n" },
            /* it is noticed behind the second value */
            { "{\"a\":1,\"a\":bogus}", ERROR("invalid keyword 'bogus'") },
            { "{\"a\":1,\"a\":2 3}", ERROR("duplicate key") });
}

/* Braces and brackets are counted each for itself. */
static void test_balance(void) {
        RUN({ "}", EXPECTING },
            { "]:,", EXPECTING EXPECTING EXPECTING },
            { "[}", EXPECTING },
            { "[}]", EXPECTING EXPECTING },
            { "[{]}", EXPECTING },
            { "{]}", EXPECTING EXPECTING },
            { "{\"a\":[}", "" },
            { "{\"a\":[}]{}", EXPECTING "{}\n" },
            { "[1}", ERROR("expected separator in list") },
            { "{\"a\":1]}", ERROR("expected separator in dict") EXPECTING });
}

static void test_stray_bytes(void) {
        RUN({ "\xFF", ERROR("stray '\xFF'") },
            { "\xFF\xFE", ERROR("stray '\xFF'") ERROR("stray '\xFE'") },
            { "\0{}", ERROR("stray ''") "{}\n", 3 },
            { "\x1B{}", ERROR("stray '\x1B'") "{}\n" },
            { "\xEF\xBB\xBF{}", ERROR("stray '\xEF'") "{}\n" },
            { "ABC {}", ERROR("stray 'A'") "{}\n" },
            { "/* c */ {}", ERROR("stray '/'") "{}\n" },
            { "{\"a\" 1, @}}", ERROR("stray '@'") EXPECTING EXPECTING },
            { "{\"a\":\"b\xFF\"}", ERROR("stray '\"b\xFF'") EXPECTING },
            { "\"a\\\x01\"", ERROR("stray '\"a\\\x01'") },
            { "\"a\tb\"", ERROR("stray '\"a\t'") },
            { "'a\0b'", ERROR("stray ''a'"), 5 },
            { "-[{}", ERROR("stray '-['") "{}\n" });
}

static void test_recovery(void) {
        RUN({ "@@@\t\"foo\" bar 1.5 \x7F\x80 {}", ERROR("stray '@'") "{}\n" },
            { "@ foo:", ERROR("stray '@'") EXPECTING },
            { "@ foo\n1 ", ERROR("stray '@'") "1\n" },
            { "@ foo\x01{}", ERROR("stray '@'") ERROR("stray '\x01'") "{}\n" },
            { "\"abc\x01 def, ghi: {}",
              ERROR("stray '\"abc\x01'") EXPECTING ERROR("invalid keyword 'ghi'") EXPECTING "{}\n" });
}

static char *test_json_repeat(const char *open, const char *middle, const char *close, size_t n) {
        Buffer b = BUFFER_NULL;

        for (size_t i = 0; i < n; i++)
                (void) buffer_append_string(&b, open);
        (void) buffer_append_string(&b, middle);
        for (size_t i = 0; i < n; i++)
                (void) buffer_append_string(&b, close);
        return buffer_take_string(&b);
}

static size_t test_json_count(const char *text, const char *what) {
        size_t n = 0;

        while ((text = strstr(text, what))) {
                text += strlen(what);
                n++;
        }
        return n;
}

static void test_depth(void) {
        _cleanup_free_ char *good = test_json_repeat("{\"a\":[", "1", "]}", 512);
        _cleanup_free_ char *bad = test_json_repeat("[", "1,2", "]", 1025);
        _cleanup_free_ char *got_good = test_json_read(good, strlen(good), SIZE_MAX / 2);
        _cleanup_free_ char *got_bad = test_json_read(bad, strlen(bad), 100);

        CU_ASSERT_EQUAL(test_json_count(got_good, "\"a\": ["), 512);
        CU_ASSERT_PTR_NULL(strstr(got_good, "!"));
        CU_ASSERT_EQUAL(strncmp(got_bad, "!JSON nesting depth limit exceeded\n1\n", 37), 0);
        /* the comma, and every closing bracket that is left over */
        CU_ASSERT_EQUAL(test_json_count(got_bad, EXPECTING), 1026);
}

static void test_limits(void) {
        const JsonLimits limits = { .bytes = 10, .tokens = 5, .depth = 3 };
        const JsonCase cases[] = {
                { "\"12345678\"", "\"12345678\"\n" },
                { "\"123456789\"{}", "!JSON token size limit exceeded\n{}\n" },
                { "1234567890 ", "1234567890\n" },
                { "12345678901 {}", "!JSON token size limit exceeded\n{}\n" },
                /* of all tokens of a message together; space does not count */
                { "[    \"123456\"  ]", "[\"123456\"]\n" },
                { "[\"1234567\"]", "!JSON token size limit exceeded\n" },
                { "[1,2]", "[1, 2]\n" },
                { "[1,2,3]", "!JSON token count limit exceeded\n" EXPECTING },
                { "[[[]]]", "!JSON token count limit exceeded\n" },
                { "[[[[", "!JSON nesting depth limit exceeded\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t piece = 1; piece < 20; piece++) {
                        _cleanup_free_ char *got = test_json_read_limited(cases[i].input,
                                                                          strlen(cases[i].input),
                                                                          piece,
                                                                          &limits);

                        CU_ASSERT_STRING_EQUAL(got, cases[i].expected);
                }
}

static int test_json_stop(json_object *value, const char *error, void *userdata) {
        unsigned *calls = userdata;

        (*calls)++;
        return 7;
}

static void test_stop(void) {
        _cleanup_(json_stream_freep) JsonStream *s = NULL;
        unsigned calls = 0;
        size_t used = 99;

        CU_ASSERT_EQUAL_FATAL(json_stream_new(&s, &JSON_LIMITS_CLIENT, test_json_stop, &calls), 0);
        CU_ASSERT_EQUAL(json_stream_feed(s, "{}[]1 ", 6, &used), 7);
        CU_ASSERT_EQUAL(used, 2);
        CU_ASSERT_EQUAL(json_stream_feed(s, "[]1 ", 4, &used), 7);
        CU_ASSERT_EQUAL(used, 2);
        /* what ended the number is still to be read */
        CU_ASSERT_EQUAL(json_stream_feed(s, "1 ", 2, &used), 7);
        CU_ASSERT_EQUAL(used, 1);
        CU_ASSERT_EQUAL(json_stream_feed(s, " ", 1, &used), 0);
        CU_ASSERT_EQUAL(calls, 3);
        CU_ASSERT_FALSE(json_stream_is_inside(s));
}

static void test_memory(void) {
        _cleanup_(json_stream_freep) JsonStream *s = NULL;
        _cleanup_(buffer_deinit) Buffer out = BUFFER_NULL;
        size_t idle;

        CU_ASSERT_EQUAL_FATAL(json_stream_new(&s, &JSON_LIMITS_CLIENT, test_json_message, &out), 0);
        idle = json_stream_memory(s);
        CU_ASSERT(idle <= 192);

        CU_ASSERT_EQUAL(json_stream_feed(s, "{\"abc", 5, NULL), 0);
        CU_ASSERT_TRUE(json_stream_is_inside(s));
        CU_ASSERT(json_stream_memory(s) > idle);
        CU_ASSERT_EQUAL(json_stream_feed(s, "\":1}", 4, NULL), 0);
        CU_ASSERT_FALSE(json_stream_is_inside(s));
        CU_ASSERT_EQUAL(json_stream_memory(s), idle);

        CU_ASSERT_EQUAL(json_stream_feed(s, "[[\"abc\xFF garbage", 15, NULL), 0);
        CU_ASSERT_FALSE(json_stream_is_inside(s));
        CU_ASSERT_EQUAL(json_stream_memory(s), idle);
}

static void test_parse(void) {
        static const char *const bad[][2] = {
                { "", "JSON parse error, premature EOI" },
                { "{", "JSON parse error, premature EOI" },
                { "\"abc", "JSON parse error, premature EOI" },
                { "{} {}", "Expecting at most one JSON value" },
                { "{}}", "Expecting at most one JSON value" },
                { "{} \"abc", "Expecting at most one JSON value" },
                { "bogus", "JSON parse error, invalid keyword 'bogus'" },
        };
        json_object *value = NULL;

        CU_ASSERT_EQUAL(json_parse(" 17", 3, &value, NULL), 0);
        CU_ASSERT_EQUAL(json_object_get_int(value), 17);
        json_object_put(value);

        value = (json_object *) &value;
        CU_ASSERT_EQUAL(json_parse("null", 4, &value, NULL), 0);
        CU_ASSERT_PTR_NULL(value);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *error = NULL;

                CU_ASSERT_EQUAL(json_parse(bad[i][0], strlen(bad[i][0]), &value, &error), -EINVAL);
                CU_ASSERT_STRING_EQUAL(error, bad[i][1]);
                CU_ASSERT_EQUAL(json_parse(bad[i][0], strlen(bad[i][0]), &value, NULL), -EINVAL);
                CU_ASSERT_PTR_NULL(value);
        }
}

static void test_write_invalid_utf8(void) {
        /* a lead byte and as many continuation bytes as it announces are one character */
        static const char *const cases[][2] = {
                { "\xE2\x82", "\"\\uFFFD\"" },
                { "\xE2\x82"
                  "A",
                  "\"\\uFFFDA\"" },
                { "\xF8\x80\x80\x80\x80\x80", "\"\\uFFFD\\uFFFD\"" },
                { "\xFC\x80\x80\x80\x80\x80", "\"\\uFFFD\"" },
                { "\xED\xA0\xBD\xED\xB8\x80", "\"\\uFFFD\\uFFFD\"" },
                { "\xC0\x80\xC1\x81", "\"\\u0000\\uFFFD\"" },
                { "\x80\x80\xFF\xFE", "\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\"" },
                { "\xC3\xC3\xA9", "\"\\uFFFD\\u00E9\"" },
                { "\xF0\x9F\x98\xE2\x82\xAC", "\"\\uFFFD\\u20AC\"" },
                { "\xEF\xBF\xBF\xF4\x8F\xBF\xBF\xF4\x90\x80\x80", "\"\\uFFFD\\uFFFD\\uFFFD\"" },
                { "\xFA\x80\x80", "\"\\uFFFD\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Buffer b = BUFFER_NULL;
                _cleanup_free_ char *text = NULL;

                CU_ASSERT_EQUAL(json_write_string(&b, cases[i][0], strlen(cases[i][0])), 0);
                text = buffer_take_string(&b);
                CU_ASSERT_STRING_EQUAL(text, cases[i][1]);
        }
}

static void test_write_pretty(void) {
        static const char text[] = "{\"s\":\"x\xC3\xA9\",\"a\":[],\"b\":[1,[3,{}],{\"c\":{}}]}";
        _cleanup_(json_object_putp) json_object *value = NULL;
        _cleanup_free_ char *got = NULL;
        Buffer b = BUFFER_NULL;

        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &value, NULL), 0);
        CU_ASSERT_EQUAL(json_write(&b, value, JSON_STYLE_PRETTY), 0);
        got = buffer_take_string(&b);
        CU_ASSERT_STRING_EQUAL(got,
                               "{\n"
                               "    \"s\": \"x\\u00E9\",\n"
                               "    \"a\": [\n"
                               "    ],\n"
                               "    \"b\": [\n"
                               "        1,\n"
                               "        [\n"
                               "            3,\n"
                               "            {\n"
                               "            }\n"
                               "        ],\n"
                               "        {\n"
                               "            \"c\": {\n"
                               "            }\n"
                               "        }\n"
                               "    ]\n"
                               "}");
}

static void test_write_full(void) {
        _cleanup_(json_object_putp) json_object *value = NULL;
        Buffer b = { .limit = 10 };

        CU_ASSERT_EQUAL_FATAL(json_parse("[1,22,333]", 10, &value, NULL), 0);
        CU_ASSERT_EQUAL(buffer_append_string(&b, "abc"), 0);
        CU_ASSERT_EQUAL(json_write(&b, value, JSON_STYLE_QMP), -ENOBUFS);
        CU_ASSERT_EQUAL(buffer_length(&b), 3);
        CU_ASSERT_EQUAL(memcmp(buffer_content(&b), "abc", 3), 0);
        buffer_deinit(&b);
}

TEST_MAIN("json",
          { "values", test_values },
          { "messages need no newline", test_streaming },
          { "numbers", test_numbers },
          { "strings and UTF-8", test_strings },
          { "unicode escapes", test_unicode_escapes },
          { "syntax errors", test_syntax_errors },
          { "the first error stays", test_first_error_stays },
          { "duplicate keys", test_duplicate_keys },
          { "braces and brackets balance", test_balance },
          { "stray bytes", test_stray_bytes },
          { "recovery after an error", test_recovery },
          { "nesting depth", test_depth },
          { "limits", test_limits },
          { "stopping", test_stop },
          { "an idle stream holds nothing", test_memory },
          { "one value", test_parse },
          { "writing invalid UTF-8", test_write_invalid_utf8 },
          { "writing pretty", test_write_pretty },
          { "writing into a full buffer", test_write_full })
