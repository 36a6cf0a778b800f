/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "policy/util/name.h"
#include "tests/unit/harness.h"

#define A10 "aaaaaaaaaa"
#define A80 A10 A10 A10 A10 A10 A10 A10 A10

static void test_valid(void) {
        static const char *const good[] = { "a",    "web-1", "A.b_c:d-9", "host2",
                                            "Host", A80,     "a\\x20b",   "\\x68ost" };
        static const char *const bad[] = { "",
                                           ".hidden",
                                           "host",
                                           "a b",
                                           "a/b",
                                           "../x",
                                           A80 "a",
                                           "a\\",
                                           "a\\x2",
                                           "a\\x2G",
                                           "a\\x00",
                                           "a\\n",
                                           "\xc3\xa9",
                                           "a\nb",
                                           "*",
                                           /* 80 only when the escape counted as one */
                                           A10 A10 A10 A10 A10 A10 A10 "aaaaaaa\\x20" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                CU_ASSERT(name_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CU_ASSERT(!name_is_valid(bad[i]));
}

static void test_escape(void) {
        static const struct {
                const char *given, *name;
        } table[] = {
                { "web-1.example:0", "web-1.example:0" },
                { "a b", "a\\x20b" },
                { "a\\x20b", "a\\x5cx20b" },
                { "../../etc/x", "\\x2e.\\x2f..\\x2fetc\\x2fx" },
                { ".", "\\x2e" },
                { "host", "\\x68ost" },
                { "h\xc3\xa9\x1b[0m", "h\\xc3\\xa9\\x1b\\x5b0m" },
                { "\xff", "\\xff" },
                { A80, A80 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *name = NULL, *given = NULL;

                CU_ASSERT_EQUAL_FATAL(name_escape(table[i].given, &name), 0);
                CU_ASSERT_STRING_EQUAL(name, table[i].name);
                CU_ASSERT(name_is_valid(name));
                CU_ASSERT_EQUAL_FATAL(name_unescape(name, &given), 0);
                CU_ASSERT_STRING_EQUAL(given, table[i].given);
        }
}

static void test_long(void) {
        static const char *const given[] = {
                A80 "a", A80 "b", A80 A80, " " A80, A10 A10 A10 A10 A10 A10 "    " A10
        };
        _cleanup_free_ char *empty = NULL;
        char *names[ELEMENTSOF(given)];

        for (size_t i = 0; i < ELEMENTSOF(given); i++) {
                names[i] = NULL;
                CU_ASSERT_EQUAL_FATAL(name_escape(given[i], &names[i]), 0);
                CU_ASSERT(name_is_valid(names[i]));
                for (size_t j = 0; j < i; j++)
                        CU_ASSERT_STRING_NOT_EQUAL(names[i], names[j]);
        }
        CU_ASSERT_EQUAL(strlen(names[0]), NAME_LENGTH_MAX);
        /* no escape is cut in the middle */
        CU_ASSERT(strncmp(names[4], A10 A10 A10 A10 A10 A10 ":", 61) == 0);
        for (size_t i = 0; i < ELEMENTSOF(given); i++)
                free(names[i]);

        CU_ASSERT_EQUAL(name_escape("", &empty), -EINVAL);
        CU_ASSERT_PTR_NULL(empty);
}

static void test_escape_glob(void) {
        static const struct {
                const char *given, *glob;
        } table[] = {
                { "web-*", "web-*" },
                { "my guest [0-9 ]?", "my\\x20guest\\x20[0-9 ]?" },
                { "[]x]/", "[]x]\\x2f" },
                { "a\\x20*", "a\\x20*" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *glob = NULL;

                CU_ASSERT_EQUAL_FATAL(name_escape_glob(table[i].given, &glob), 0);
                CU_ASSERT_STRING_EQUAL(glob, table[i].glob);
        }
}

TEST_MAIN("name",
          { "validity", test_valid },
          { "escape and back", test_escape },
          { "long names stay different", test_long },
          { "patterns", test_escape_glob })
