/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An action that waits for a write waits for all before it, however the store goes about them. */
#include "daemon/writes.h"
#include "tests/unit/harness.h"
#include "tests/unit/store-fixture.h"

/* More than one transaction of the store takes. */
#define INCIDENTS 1500
#define VERSIONS 3

typedef struct Seen {
        uint64_t last;
        unsigned n, out_of_order;
        bool all;
} Seen;

static void test_on_write(uint64_t number, int r, void *userdata) {
        Seen *seen = userdata;

        CU_ASSERT_EQUAL(r, 0);
        seen->out_of_order += number != seen->last + 1;
        seen->last = number;
        seen->all = ++seen->n == INCIDENTS * VERSIONS;
}

static void test_put(Writes *writes, Store *store, uint64_t id) {
        Timestamp time = {};
        char machine[] = "vm1", run[] = "run", boot_id[] = "boot";
        IncidentInfo info = {
                .id = id, .machine = machine, .run = run, .time = &time, .opened = &time, .boot_id = boot_id
        };

        CU_ASSERT_EQUAL(writes_put(writes, store, &info), 0);
}

static void test_order(void) {
        Writes writes;
        StoreFixture f;
        Seen seen = {};

        store_fixture_init(&f);
        store_fixture_open(&f);
        writes_init(&writes, test_on_write, &seen);
        for (unsigned version = 0; version < VERSIONS; version++)
                for (uint64_t id = 1; id <= INCIDENTS; id++)
                        test_put(&writes, f.store, id);
        CU_ASSERT_EQUAL(writes.n, INCIDENTS * VERSIONS);
        store_fixture_run_until(&f, &seen.all);
        CU_ASSERT_EQUAL(seen.n, INCIDENTS * VERSIONS);
        CU_ASSERT_EQUAL(seen.out_of_order, 0);
        writes_deinit(&writes);
        store_fixture_deinit(&f);
}

/* What the store has not answered when it is closed is not told. */
static void test_end(void) {
        Writes writes;
        StoreFixture f;
        Seen seen = {};

        store_fixture_init(&f);
        store_fixture_open(&f);
        writes_init(&writes, test_on_write, &seen);
        test_put(&writes, f.store, 1);
        store_fixture_deinit(&f);
        writes_deinit(&writes);
        CU_ASSERT_EQUAL(seen.n, 0);
}

TEST_MAIN("writes", { "in order", test_order }, { "at the end", test_end })
