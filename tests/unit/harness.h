/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * main() of a CUnit program:
 *
 *         TEST_MAIN("json", { "empty object", test_empty_object }, { "depth", test_depth })
 *
 * Each test prints one line, "ok json: depth", "not ok json: depth" followed by the assertions that
 * failed, or "skip json: depth: WHAT IS MISSING"; `make check` counts these. The exit status is 1
 * when one failed. Arguments are parts of test names: only tests that contain one of them are run;
 * --list prints the names.
 *
 * The line of a test is written before the next one begins, so that what a crash leaves behind
 * names the test after the last one printed.
 */
#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/util/cleanup.h"

typedef struct HarnessTest {
        const char *name;
        void (*func)(void);
} HarnessTest;

static const char *harness_skip_reason;

/* For a test that can't run here: it returns after calling this. */
static inline void harness_skip(const char *what_is_missing) {
        harness_skip_reason = what_is_missing;
}

static inline bool harness_is_wanted(const char *name, int argc, char *argv[]) {
        for (int i = 1; i < argc; i++)
                if (strstr(name, argv[i]))
                        return true;

        return argc < 2;
}

static inline bool harness_run_test(const char *suite_name, CU_pSuite suite, CU_pTest test) {
        unsigned n_failures;

        harness_skip_reason = NULL;
        if (CU_run_test(suite, test) != CUE_SUCCESS) {
                printf("not ok %s: %s\n        %s\n", suite_name, test->pName, CU_get_error_msg());
                return false;
        }

        n_failures = CU_get_number_of_failures();
        if (n_failures > 0)
                printf("not ok %s: %s\n", suite_name, test->pName);
        else if (harness_skip_reason)
                printf("skip %s: %s: %s\n", suite_name, test->pName, harness_skip_reason);
        else
                printf("ok %s: %s\n", suite_name, test->pName);

        for (CU_pFailureRecord f = CU_get_failure_list(); f; f = f->pNext)
                printf("        %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);

        return n_failures == 0;
}

static inline int harness_main(const char *suite_name,
                               const HarnessTest *tests,
                               size_t n_tests,
                               int argc,
                               char *argv[]) {
        CU_pSuite suite;
        bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
        bool good = true;

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (CU_initialize_registry() != CUE_SUCCESS)
                return 1;

        suite = CU_add_suite(suite_name, NULL, NULL);
        for (size_t i = 0; suite && i < n_tests; i++) {
                CU_pTest test;

                if (list) {
                        printf("%s: %s\n", suite_name, tests[i].name);
                        continue;
                }
                if (!harness_is_wanted(tests[i].name, argc, argv))
                        continue;

                test = CU_add_test(suite, tests[i].name, tests[i].func);
                good = test && harness_run_test(suite_name, suite, test) && good;
        }

        CU_cleanup_registry();
        return suite && good ? 0 : 1;
}

#define TEST_MAIN(suite_name, ...)                                                                 \
        int main(int argc, char *argv[]) {                                                         \
                static const HarnessTest tests[] = { __VA_ARGS__ };                                \
                return harness_main(suite_name, tests, ELEMENTSOF(tests), argc, argv);             \
        }
