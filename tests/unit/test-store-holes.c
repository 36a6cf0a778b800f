/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is remembered of numbers that were never written. */
#include "daemon/store/store-holes.h"
#include "tests/unit/harness.h"

static void test_join(void) {
        StoreHoles holes = {};

        store_holes_add(&holes, 10, 12, STORE_HOLE_STORE);
        store_holes_add(&holes, 13, 13, STORE_HOLE_STORE);
        CU_ASSERT_EQUAL(holes.n, 1);
        CU_ASSERT_PTR_NULL(store_holes_find(&holes, 9));
        CU_ASSERT_PTR_NOT_NULL(store_holes_find(&holes, 13));
        CU_ASSERT_PTR_NULL(store_holes_find(&holes, 14));
        /* next to it, for another reason */
        store_holes_add(&holes, 14, 20, STORE_HOLE_UNCLEAN_END);
        CU_ASSERT_EQUAL(holes.n, 2);
        CU_ASSERT_EQUAL(store_holes_find(&holes, 13)->reason, STORE_HOLE_STORE);
        CU_ASSERT_EQUAL(store_holes_find(&holes, 14)->reason, STORE_HOLE_UNCLEAN_END);
        /* two unclean ends without an event between */
        store_holes_add(&holes, 14, 40, STORE_HOLE_UNCLEAN_END);
        CU_ASSERT_EQUAL(holes.n, 2);
        CU_ASSERT_EQUAL(store_holes_find(&holes, 40)->reason, STORE_HOLE_UNCLEAN_END);
        /* empty */
        store_holes_add(&holes, 50, 49, STORE_HOLE_STORE);
        CU_ASSERT_EQUAL(holes.n, 2);
}

static void test_bound(void) {
        StoreHoles holes = {};

        for (uint64_t i = 0; i < 1000; i++)
                store_holes_add(&holes, i * 10, i * 10 + 2, STORE_HOLE_STORE);
        CU_ASSERT_EQUAL(holes.n, STORE_HOLES_MAX);
        CU_ASSERT_PTR_NOT_NULL(store_holes_find(&holes, 1));
        CU_ASSERT_PTR_NOT_NULL(store_holes_find(&holes, 9990));
        CU_ASSERT_PTR_NULL(store_holes_find(&holes, 9989));
        store_holes_expire(&holes, 9991);
        CU_ASSERT_EQUAL(holes.n, 1);
        store_holes_expire(&holes, 9993);
        CU_ASSERT_EQUAL(holes.n, 0);
}

static void test_reasons(void) {
        for (unsigned i = 0; i < _STORE_HOLE_MAX; i++)
                CU_ASSERT_EQUAL(store_hole_reason_from_string(store_hole_reason_to_string(i)), i);
        CU_ASSERT_EQUAL(store_hole_reason_from_string("from a later tocsin"), STORE_HOLE_STORE);
        CU_ASSERT_EQUAL(store_hole_reason_from_string(NULL), STORE_HOLE_STORE);
}

TEST_MAIN("store-holes", { "join", test_join }, { "bound", test_bound }, { "reasons", test_reasons })
