/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/ctl/options.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/text.h"
#include "policy/escape.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"

static void check_escaped(const char *s, size_t n, const char *wanted) {
        _cleanup_free_ char *got = escape_string(s, n);

        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(got, wanted);
}

static void test_escape(void) {
        static const struct {
                const char *text, *wanted;
        } cases[] = {
                { "", "" },
                { "plain, ümläut, 漢字, 🐧", "plain, ümläut, 漢字, 🐧" },
                { "\033[2J\033]0;title\a", "\\x1B[2J\\x1B]0;title\\x07" },
                { "two\nlines\r\ttab\x7f", "two\\x0Alines\\x0D\\x09tab\\x7F" },
                { "\xc2\x9b"
                  "31m",
                  "\\x9B"
                  "31m" }, /* CSI as one character */
                { "a\xe2\x80\xae"
                  "b",
                  "a\\u{202E}b" },                                      /* right-to-left override */
                { "\xe2\x81\xa6x\xe2\x81\xa9", "\\u{2066}x\\u{2069}" }, /* isolates */
                { "\xef\xbb\xbf"
                  "bom",
                  "\\u{FEFF}bom" },
                { "\xf3\xa0\x81\x81", "\\u{E0041}" }, /* tag character */
                { "cut \xe2\x82", "cut \\xE2\\x82" },
                { "\xff\xfe", "\\xFF\\xFE" },
                { "\xed\xa0\x80", "\\xED\\xA0\\x80" }, /* surrogate */
                { "\xc1\xbf", "\\xC1\\xBF" },          /* overlong */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                check_escaped(cases[i].text, strlen(cases[i].text), cases[i].wanted);
        check_escaped("a\0b", 3, "a\\x00b");
}

static void test_escape_tree(void) {
        const char *text =
                "{'k\\u001bey': ['a\\nb', {'c': '\\u202e'}, 1, true, null], 'n': 18446744073709551615}";
        json_object *value = NULL, *escaped = NULL;
        Buffer out = BUFFER_NULL;
        _cleanup_free_ char *got = NULL;

        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &value, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(escape_json(value, &escaped), 0);
        CU_ASSERT_EQUAL(json_write(&out, escaped, JSON_STYLE_QMP), 0);
        got = buffer_take_string(&out);
        CU_ASSERT_STRING_EQUAL(got,
                               "{\"k\\\\x1Bey\": [\"a\\\\x0Ab\", {\"c\": \"\\\\u{202E}\"}, 1, true, null], "
                               "\"n\": 18446744073709551615}");
        json_object_put(value);
        json_object_put(escaped);
}

static void check_text(Text *text, const char *wanted) {
        _cleanup_free_ char *got = text_take(text);

        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(got, wanted);
}

static void test_times(void) {
        Text text = TEXT_NULL;

        text_add_time(&text, UINT64_C(1795230727412999));
        check_text(&text, "2026-11-21 03:12:07.412 UTC");
        text_add_time(&text, 0);
        check_text(&text, "1970-01-01 00:00:00.000 UTC");
}

static void test_spans(void) {
        static const struct {
                uint64_t us;
                const char *wanted;
        } cases[] = {
                { 0, "0 us" },
                { 38, "38 us" },
                { 4200, "4 ms" },
                { 24462000, "24.46 s" },
                { 59999999, "59.99 s" },
                { 60 * USEC_PER_SEC, "1 min" },
                { 125 * USEC_PER_SEC, "2 min 5 s" },
                { 7500 * USEC_PER_SEC, "2 h 5 min" },
                { 180000 * USEC_PER_SEC, "2 d 2 h" },
        };
        Text text = TEXT_NULL;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                text_add_span(&text, cases[i].us);
                check_text(&text, cases[i].wanted);
        }
}

static void test_sizes(void) {
        static const struct {
                uint64_t bytes;
                const char *wanted;
        } cases[] = {
                { 0, "0 B" },
                { 1023, "1023 B" },
                { 1024, "1.0 KiB" },
                { 1536, "1.5 KiB" },
                { 10240, "10 KiB" },
                { UINT64_C(611) << 20, "611 MiB" },
                { UINT64_MAX, "15 EiB" },
        };
        Text text = TEXT_NULL;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                text_add_size(&text, cases[i].bytes);
                check_text(&text, cases[i].wanted);
        }
}

static void test_table(void) {
        Table table = TABLE_INIT(3);
        Text text = TEXT_NULL;

        table_add(&table, "NAME");
        table_add(&table, "N");
        table_add(&table, "WHAT");
        table_add(&table, "ä");
        table_add(&table, "");
        table_add(&table, "");
        table_note(&table, "a note of %d words that widens nothing", 7);
        table_add(&table, "longer");
        table_printf(&table, "%d", 12);
        table_add(&table, "as long as it likes");
        table_write(&table, &text, 1);
        check_text(&text,
                   " NAME    N   WHAT\n"
                   " ä\n"
                   "     a note of 7 words that widens nothing\n"
                   " longer  12  as long as it likes\n");
        table_deinit(&table);
}

static void test_options(void) {
        const char *value = NULL, *bad = NULL;
        bool flag = false;
        const Option options[] = { { "value", 'v', &value, NULL }, { "flag", 0, NULL, &flag }, {} };
        char *argv[] = { (char[]){ "verb" }, (char[]){ "--flag" }, (char[]){ "--value=a=b" },
                         (char[]){ "-" },    (char[]){ "--" },     (char[]){ "--flag" } };
        char *other[] = { (char[]){ "-v" }, (char[]){ "x" }, (char[]){ "--other" }, (char[]){ "y" } };
        char *wrong[] = { (char[]){ "--flag=yes" } }, *lacking[] = { (char[]){ "--value" } };
        int argc = 6;

        CU_ASSERT_EQUAL(options_parse(options, false, &argc, argv, &bad), 0);
        CU_ASSERT_EQUAL_FATAL(argc, 3);
        CU_ASSERT_STRING_EQUAL(argv[0], "verb");
        CU_ASSERT_STRING_EQUAL(argv[1], "-");
        CU_ASSERT_STRING_EQUAL(argv[2], "--flag");
        CU_ASSERT_TRUE(flag);
        CU_ASSERT_STRING_EQUAL(value, "a=b");

        argc = 4;
        CU_ASSERT_EQUAL(options_parse(options, true, &argc, other, &bad), 0);
        CU_ASSERT_EQUAL_FATAL(argc, 2);
        CU_ASSERT_STRING_EQUAL(value, "x");
        CU_ASSERT_STRING_EQUAL(other[0], "--other");
        CU_ASSERT_EQUAL(options_parse(options, false, &argc, other, &bad), OPTIONS_E_UNKNOWN);
        CU_ASSERT_STRING_EQUAL(bad, "--other");

        argc = 1;
        CU_ASSERT_EQUAL(options_parse(options, false, &argc, wrong, &bad), OPTIONS_E_SPARE_VALUE);
        CU_ASSERT_EQUAL(options_parse(options, false, &argc, lacking, &bad), OPTIONS_E_NO_VALUE);
}

TEST_MAIN("ctl-text",
          { "what a terminal would act upon is escaped", test_escape },
          { "a whole answer is escaped, keys too", test_escape_tree },
          { "times", test_times },
          { "spans", test_spans },
          { "sizes", test_sizes },
          { "tables", test_table },
          { "options", test_options })
