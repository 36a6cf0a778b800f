/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The windows of QEMU's throttling, in the order the facts tell of; the calls are the clock. */
#include "daemon/qmp/throttle.h"
#include "tests/unit/harness.h"

static void offer(Throttle *t, uint64_t seq, const char *text, int expected) {
        CU_ASSERT_EQUAL(throttle_offer(t, seq, text, strlen(text)), expected);
}

static void expire(Throttle *t, uint64_t expected_seq, const char *expected) {
        _cleanup_free_ char *text = NULL;
        uint64_t seq = 0;
        size_t n = 0;

        CU_ASSERT_TRUE_FATAL(throttle_expire(t, &seq, &text, &n));
        CU_ASSERT_EQUAL(seq, expected_seq);
        CU_ASSERT_EQUAL_FATAL(n, strlen(expected));
        CU_ASSERT_EQUAL(memcmp(text, expected, n), 0);
}

static void expire_empty(Throttle *t) {
        char *text = NULL;
        uint64_t seq;
        size_t n;

        CU_ASSERT_FALSE(throttle_expire(t, &seq, &text, &n));
        CU_ASSERT_PTR_NULL(text);
}

static void test_single(void) {
        _cleanup_(throttle_deinit) Throttle t = {};

        offer(&t, 1, "none", 0);
        expire_empty(&t);
        offer(&t, 2, "none", 0);
        expire_empty(&t);
}

static void test_last_one_stays(void) {
        _cleanup_(throttle_deinit) Throttle t = {};

        offer(&t, 1, "none", 0);
        offer(&t, 2, "debug", THROTTLE_E_KEPT);
        offer(&t, 3, "inject-nmi", THROTTLE_E_KEPT);
        expire(&t, 3, "inject-nmi");
        expire_empty(&t);
}

static void test_stored_one_opens_a_window(void) {
        _cleanup_(throttle_deinit) Throttle t = {};

        offer(&t, 1, "a", 0);
        offer(&t, 2, "b", THROTTLE_E_KEPT);
        expire(&t, 2, "b");
        offer(&t, 3, "c", THROTTLE_E_KEPT);
        expire(&t, 3, "c");
        expire_empty(&t);
        offer(&t, 4, "d", 0);
        offer(&t, 5, "e", THROTTLE_E_KEPT);
}

static void test_which(void) {
        CU_ASSERT_TRUE(throttle_has("WATCHDOG"));
        CU_ASSERT_FALSE(throttle_has("GUEST_PANICKED"));
        CU_ASSERT_FALSE(throttle_has("RESET"));
}

TEST_MAIN("throttle",
          { "one event a window", test_single },
          { "the last one within a window stays", test_last_one_stays },
          { "a stored one opens the next window", test_stored_one_opens_a_window },
          { "which events", test_which })
