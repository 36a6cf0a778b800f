/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What operators are told of, and how often. */
#include <stdio.h>
#include <string.h>

#include "daemon/machine/problems.h"
#include "tests/unit/harness.h"

typedef struct Told {
        unsigned n, n_mended;
        char key[64], text[64]; /* the last */
} Told;

static void test_on_problem(const char *key, const char *text, void *userdata) {
        Told *told = userdata;

        told->n++;
        told->n_mended += !text;
        (void) snprintf(told->key, sizeof(told->key), "%s", key);
        (void) snprintf(told->text, sizeof(told->text), "%s", text ? text : "");
}

static void test_set_many(Problems *problems, unsigned n, const char *text) {
        char key[32];

        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(key, sizeof(key), "guest %u", i);
                problems_set(problems, key, text);
        }
}

static void test_once(void) {
        Told told = {};
        Problems problems = { .func = test_on_problem, .userdata = &told };

        problems_set(&problems, "a", NULL);
        problems_set(&problems, "a", "");
        CU_ASSERT_EQUAL(told.n, 0);
        problems_set(&problems, "a", "broken");
        problems_set(&problems, "a", "broken");
        CU_ASSERT_EQUAL(told.n, 1);
        problems_set(&problems, "a", "broken otherwise");
        CU_ASSERT_EQUAL(told.n, 2);
        CU_ASSERT_STRING_EQUAL(problems_get(&problems, "a"), "broken otherwise");
        CU_ASSERT_EQUAL(told.n_mended, 0);
        problems_set(&problems, "a", "");
        CU_ASSERT_EQUAL(told.n, 2);
        problems_set(&problems, "a", NULL);
        problems_set(&problems, "a", NULL);
        CU_ASSERT_EQUAL(told.n, 3);
        CU_ASSERT_EQUAL(told.n_mended, 1);
        CU_ASSERT_PTR_NULL(problems_get(&problems, "a"));
        problems_deinit(&problems);
}

/* Ten thousand in trouble, each coming up again and again. */
static void test_many(void) {
        Told told = {};
        Problems problems = { .func = test_on_problem, .userdata = &told };

        for (unsigned i = 0; i < 3; i++)
                test_set_many(&problems, 10000, "broken");
        CU_ASSERT_EQUAL(told.n, PROBLEMS_MAX + 1);
        CU_ASSERT_EQUAL(told.n_mended, 0);
        CU_ASSERT_STRING_EQUAL(told.key, "connections");

        test_set_many(&problems, 10000, NULL);
        CU_ASSERT_EQUAL(told.n_mended, PROBLEMS_MAX + 1);
        problems_set(&problems, "guest 9999", "broken");
        CU_ASSERT_STRING_EQUAL(told.key, "guest 9999");
        problems_deinit(&problems);
}

/* Who has not come up for long gives way to who does. */
static void test_stale(void) {
        Told told = {};
        Problems problems = { .func = test_on_problem, .userdata = &told };

        test_set_many(&problems, PROBLEMS_MAX, "broken");
        problems.items[7].seen_us -= PROBLEMS_STALE_US;
        problems_set(&problems, "another", "broken");
        CU_ASSERT_STRING_EQUAL(told.key, "another");
        CU_ASSERT_EQUAL(told.n, PROBLEMS_MAX + 2);
        CU_ASSERT_EQUAL(told.n_mended, 0);
        CU_ASSERT_FALSE(problems.more);
        CU_ASSERT_PTR_NULL(problems_get(&problems, "guest 7"));
        problems_deinit(&problems);
}

TEST_MAIN("problems",
          { "told once", test_once },
          { "no more than can be read", test_many },
          { "the stale give way", test_stale })
