/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "policy/util/size.h"
#include "tests/unit/harness.h"

static void test_sizes(void) {
        static const struct {
                const char *text;
                uint64_t size;
        } good[] = {
                { "0", 0 },
                { "100", 100 },
                { "1K", 1024 },
                { "64M", UINT64_C(64) << 20 },
                { "1G", UINT64_C(1) << 30 },
                { "15E", UINT64_C(15) << 60 },
                { "18446744073709551615", UINT64_MAX },
        };
        uint64_t size;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                char text[SIZE_TEXT_SIZE];

                CU_ASSERT_EQUAL(size_parse(good[i].text, &size), 0);
                CU_ASSERT_EQUAL(size, good[i].size);
                CU_ASSERT_STRING_EQUAL(size_format(good[i].size, text), good[i].text);
        }
}

static void test_refused(void) {
        static const struct {
                const char *text;
                int r;
        } bad[] = {
                { "", -EINVAL },
                { "M", -EINVAL },
                { "-1", -EINVAL },
                { "+1", -EINVAL },
                { " 1", -EINVAL },
                { "1 M", -EINVAL },
                { "1m", -EINVAL },
                { "1MB", -EINVAL },
                { "1.5G", -EINVAL },
                { "0x", -EINVAL },
                { "16E", -ERANGE },
                { "18446744073709551616", -ERANGE },
                { "0x10000000000000000", -ERANGE },
        };
        uint64_t size = 1;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CU_ASSERT_EQUAL(size_parse(bad[i].text, &size), bad[i].r);
        CU_ASSERT_EQUAL(size_parse_number("1K", &size), -EINVAL);
        CU_ASSERT_EQUAL(size, 1);
}

static void test_ranges(void) {
        static const char *const bad[] = { "",      "-",     "1-",   "-1",     "5-1",
                                           "1-2-3", "1 - 2", "0x9g", "0x1-0x", "1,2" };
        uint64_t first = 1, last = 1;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                CU_ASSERT_EQUAL(size_parse_range(bad[i], &first, &last), -EINVAL);
        CU_ASSERT(first == 1 && last == 1);

        CU_ASSERT_EQUAL(size_parse_range("0x9F", &first, &last), 0);
        CU_ASSERT(first == 0x9f && last == 0x9f);
        CU_ASSERT_EQUAL(size_parse_range("0x1-5", &first, &last), 0);
        CU_ASSERT(first == 1 && last == 5);
        CU_ASSERT_EQUAL(size_parse_range("0-0xffffffffffffffff", &first, &last), 0);
        CU_ASSERT(first == 0 && last == UINT64_MAX);
}

TEST_MAIN("size", { "sizes", test_sizes }, { "refused", test_refused }, { "ranges", test_ranges })
