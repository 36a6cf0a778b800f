/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "policy/util/duration.h"
#include "tests/unit/harness.h"

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* the same spans as `systemd-analyze timespan` prints */
static void test_spellings(void) {
        static const struct {
                const char *text;
                uint64_t us;
        } good[] = {
                { "90", 90 * USEC_PER_SEC },
                { "0", 0 },
                { "5min", 5 * MINUTE },
                { "5m", 5 * MINUTE },
                { "1h 30min", HOUR + 30 * MINUTE },
                { "1h30min", HOUR + 30 * MINUTE },
                { " 1 h 30 minutes ", HOUR + 30 * MINUTE },
                { "1.5h", HOUR + 30 * MINUTE },
                { "0.25s", 250 * USEC_PER_MSEC },
                { "0.1234567s", 123456 },
                { "200ms", 200 * USEC_PER_MSEC },
                { "200msec", 200 * USEC_PER_MSEC },
                { "7us", 7 },
                { "7µs", 7 },
                { "7μs", 7 },
                { "2 days 3", 2 * DAY + 3 * USEC_PER_SEC },
                { "1w", 7 * DAY },
                { "1M", UINT64_C(2629800) * USEC_PER_SEC },
                { "1y", UINT64_C(31557600) * USEC_PER_SEC },
                { "infinity", USEC_INFINITY },
                { "18446744073709551614us", USEC_INFINITY - 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                uint64_t us = 1;

                CU_ASSERT_EQUAL(duration_parse(good[i].text, &us), 0);
                CU_ASSERT_EQUAL(us, good[i].us);
        }
}

static void test_refused(void) {
        static const struct {
                const char *text;
                int r;
        } bad[] = {
                { "", -EINVAL },
                { " ", -EINVAL },
                { "min", -EINVAL },
                { "5mins", -EINVAL },
                { "5 parsecs", -EINVAL },
                { "-5min", -EINVAL },
                { "+5min", -EINVAL },
                { "1.h", -EINVAL },
                { ".5h", -EINVAL },
                { "1..5h", -EINVAL },
                { "infinity 3s", -EINVAL },
                { "infinityx", -EINVAL },
                { "3s infinity", -EINVAL },
                { "0x10", -EINVAL },
                { "18446744073709551615us", -ERANGE },
                { "18446744073709551616us", -ERANGE },
                { "99999999999999999999999us", -ERANGE },
                { "1000000y", -ERANGE },
                { "18446744073709551614us 1us", -ERANGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                uint64_t us = 1;

                CU_ASSERT_EQUAL(duration_parse(bad[i].text, &us), bad[i].r);
                CU_ASSERT_EQUAL(us, 1);
        }
}

static void test_limit(void) {
        static const char *const invalid[] = { "",         "3",           "3/",        "/10min",
                                               "-3/10min", "3 per 10min", "3/10min/2", "0x3/10min" };
        static const char *const out_of_range[] = {
                "0/10min", "3/0", "3/infinity", "4294967296/1s", "99999999999999999999999/1s"
        };
        unsigned count = 1;
        uint64_t us = 1;

        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                CU_ASSERT_EQUAL(duration_parse_limit(invalid[i], &count, &us), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(out_of_range); i++)
                CU_ASSERT_EQUAL(duration_parse_limit(out_of_range[i], &count, &us), -ERANGE);
        CU_ASSERT_EQUAL(count, 1);
        CU_ASSERT_EQUAL(us, 1);

        CU_ASSERT_EQUAL(duration_parse_limit("3/10min", &count, &us), 0);
        CU_ASSERT_EQUAL(count, 3);
        CU_ASSERT_EQUAL(us, 10 * MINUTE);
        CU_ASSERT_EQUAL(duration_parse_limit("4294967295/1h 1s", &count, &us), 0);
        CU_ASSERT_EQUAL(count, UINT32_MAX);
        CU_ASSERT_EQUAL(us, HOUR + USEC_PER_SEC);
}

static void test_format(void) {
        static const struct {
                uint64_t us;
                const char *text;
        } good[] = {
                { 0, "0s" },
                { 1, "1us" },
                { 90 * USEC_PER_SEC, "1min 30s" },
                { 10 * MINUTE, "10min" },
                { 9 * DAY + HOUR + 30 * USEC_PER_MSEC, "1w 2d 1h 30ms" },
                { USEC_INFINITY, "infinity" },
        };
        /* everything at its longest */
        const uint64_t longest = USEC_INFINITY - 1;
        char text[DURATION_TEXT_SIZE];
        uint64_t us;

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                CU_ASSERT_STRING_EQUAL(duration_format(good[i].us, text), good[i].text);
        CU_ASSERT_EQUAL(duration_parse(duration_format(longest, text), &us), 0);
        CU_ASSERT_EQUAL(us, longest);
}

TEST_MAIN("duration",
          { "spellings", test_spellings },
          { "refused", test_refused },
          { "limit", test_limit },
          { "format", test_format })
