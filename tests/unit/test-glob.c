/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>

#include "policy/util/glob.h"
#include "tests/unit/harness.h"

static void test_table(void) {
        static const struct {
                const char *pattern, *string;
                bool match;
        } table[] = {
                { "", "", true },
                { "", "a", false },
                { "*", "", true },
                { "*", "web-1", true },
                { "web-*", "web-", true },
                { "web-*", "xweb-1", false },
                { "*-db", "a-db-db", true },
                { "a*b*c", "aXbXbXc", true },
                { "a*b*c", "aXcXb", false },
                { "?", "", false },
                { "w?b", "web", true },
                { "web[0-9]", "web7", true },
                { "web[0-9]", "webx", false },
                { "web[!0-9]", "webx", true },
                { "web[^0-9]", "web7", false },
                { "[]a]", "]", true },
                { "[a-]", "-", true },
                { "[!]a]*", "b]", true },
                { "*[0-9][0-9]", "node123", true },
                { "[*]", "x", false },
                { "[*]", "*", true },
                /* a backslash is an ordinary byte: escaped names hold it */
                { "a\\x20*", "a\\x20b", true },
                { "a\\*", "a*", false },
                { "a[", "a[", false },
                { "a[b", "ab", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                CU_ASSERT_EQUAL(glob_match(table[i].pattern, table[i].string), table[i].match);
}

/* Every pattern and text of up to five letters of a small alphabet, against libc's answer. */
static void test_as_fnmatch(void) {
        static const char in_pattern[] = "ab*?", in_text[] = "ab";
        unsigned long n_wrong = 0;

        for (unsigned p = 0; p < 4 * 4 * 4 * 4 * 4; p++)
                for (unsigned t = 0; t < 1 << 5; t++) {
                        char pattern[6] = "", text[6] = "";

                        for (unsigned i = 0; i < 5; i++) {
                                pattern[i] = in_pattern[p >> 2 * i & 3];
                                text[i] = in_text[t >> i & 1];
                        }
                        n_wrong += glob_match(pattern, text) != (fnmatch(pattern, text, 0) == 0);
                        text[3] = '\0';
                        n_wrong += glob_match(pattern, text) != (fnmatch(pattern, text, 0) == 0);
                }
        CU_ASSERT_EQUAL(n_wrong, 0);
}

/* Would take longer than the age of the universe with a matcher that goes back to every star. */
static void test_hostile(void) {
        char pattern[201], text[201];

        for (size_t i = 0; i < 200; i++) {
                pattern[i] = i % 2 == 0 ? '*' : 'a';
                text[i] = 'a';
        }
        pattern[199] = 'b';
        pattern[200] = text[200] = '\0';
        CU_ASSERT(!glob_match(pattern, text));
}

static void test_valid(void) {
        CU_ASSERT(glob_is_valid("web-*[0-9]?[!a-z]"));
        CU_ASSERT(glob_is_valid("[]]") && glob_is_valid("]") && glob_is_valid("[a-]"));
        CU_ASSERT(!glob_is_valid("[") && !glob_is_valid("web[0-9") && !glob_is_valid("[]"));
        CU_ASSERT(!glob_is_valid("[!") && !glob_is_valid("[!]") && !glob_is_valid("[z-a]"));

        CU_ASSERT(glob_is_pattern("a*") && glob_is_pattern("?") && glob_is_pattern("[a]"));
        CU_ASSERT(!glob_is_pattern("a\\x20b") && !glob_is_pattern("a]"));
}

TEST_MAIN("glob",
          { "table", test_table },
          { "same answers as fnmatch", test_as_fnmatch },
          { "hostile pattern", test_hostile },
          { "validity", test_valid })
