/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/util/nearest.h"
#include "tests/unit/harness.h"

static const char *find(const char *word) {
        static const char *const words[] = { "watchdog", "panic", "memory-failure",
                                             "mode",     "qmp",   "action" };
        Nearest nearest;

        nearest_init(&nearest, word);
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                nearest_offer(&nearest, words[i]);
        return nearest_get(&nearest);
}

static void test_near(void) {
        CU_ASSERT_STRING_EQUAL(find("watchdgo"), "watchdog");
        CU_ASSERT_STRING_EQUAL(find("memory_failure"), "memory-failure");
        CU_ASSERT_STRING_EQUAL(find("memoryfailure"), "memory-failure");
        CU_ASSERT_STRING_EQUAL(find("pnaic"), "panic");
        CU_ASSERT_STRING_EQUAL(find("qpm"), "qmp");
        CU_ASSERT_STRING_EQUAL(find("actions"), "action");
        CU_ASSERT_STRING_EQUAL(find("modes"), "mode");
}

static void test_far(void) {
        CU_ASSERT_PTR_NULL(find("colour"));
        CU_ASSERT_PTR_NULL(find(""));
        CU_ASSERT_PTR_NULL(find("xx"));
        CU_ASSERT_PTR_NULL(find("watchdogwatchdogwatchdogwatchdogwatchdogwatchdog"));
}

TEST_MAIN("nearest", { "near", test_near }, { "far", test_far })
