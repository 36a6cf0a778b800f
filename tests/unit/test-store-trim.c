/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keeps the store within its limits. */
#include <string.h>
#include <time.h>

#include "policy/util/moment.h"
#include "tests/unit/harness.h"
#include "tests/unit/store-fixture.h"

static uint64_t test_now(void) {
        return (uint64_t) time(NULL) * USEC_PER_SEC;
}

static void test_put_incidents(StoreFixture *f,
                               const char *machine,
                               unsigned n,
                               IncidentStatus status,
                               uint64_t opened_us) {
        for (unsigned i = 0; i < n; i++)
                (void) store_fixture_put(f,
                                         &(IncidentValues){ .id = store_next_incident(f->store),
                                                            .machine = machine,
                                                            .status = status,
                                                            .opened_us = opened_us + i },
                                         NULL);
}

static void test_event_count(void) {
        StoreFixture f;
        ReadResult result;

        store_fixture_init(&f);
        f.limits.events = 10000;
        f.limits.queue_bytes = 128 << 20;
        store_fixture_open(&f);
        for (unsigned i = 0; i < 100000; i++)
                (void) store_fixture_put_event(&f, i % 2 ? "vm1" : "vm2");
        CU_ASSERT_EQUAL(store_fixture_settle(&f), 0);
        CU_ASSERT_EQUAL(store_get_lost(f.store), 0);
        CU_ASSERT_EQUAL(store_first_seq(f.store), 90001);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.numbers[0], 90001);
        CU_ASSERT_STRING_EQUAL(store_explain_missing(f.store, 1), "expired");
        store_fixture_close(&f);
        CU_ASSERT_EQUAL(store_fixture_query(&f, "SELECT count(*) FROM events"), 10000);
        /* Free pages are given back. */
        CU_ASSERT(store_fixture_file_size(&f, "") < 6 << 20);

        /* What was counted is what is there; fewer may stay. */
        f.limits.events = 10;
        store_fixture_open(&f);
        (void) store_fixture_put_event(&f, "vm1");
        for (unsigned i = 0; i < 1000 && store_first_seq(f.store) < 99992; i++)
                store_fixture_run_for(&f, 10000);
        CU_ASSERT_EQUAL(store_first_seq(f.store), 99992);
        store_fixture_deinit(&f);
}

static void test_machine_quota(void) {
        StoreFixture f;
        StoreIncidentFilter filter = FIXTURE_ANY;
        ReadResult result;

        store_fixture_init(&f);
        f.limits.events_per_machine = 800;
        f.limits.incidents_per_machine = 10;
        store_fixture_open(&f);
        (void) store_fixture_put_event(&f, "quiet");
        test_put_incidents(&f, "quiet", 5, INCIDENT_STATUS_CLOSED, 1);
        for (unsigned i = 0; i < 5000; i++)
                (void) store_fixture_put_event(&f, "loud");
        test_put_incidents(&f, "loud", 500, INCIDENT_STATUS_CLOSED, 1);
        CU_ASSERT_EQUAL(store_fixture_settle(&f), 0);

        filter.machine = "loud";
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 10);
        CU_ASSERT_EQUAL(result.numbers[0], 505);
        filter.machine = "quiet";
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 5);
        CU_ASSERT_EQUAL(store_first_seq(f.store), 1);
        store_fixture_close(&f);
        CU_ASSERT(store_fixture_query(&f, "SELECT count(*) FROM events WHERE machine='loud'") <= 800);
        CU_ASSERT(store_fixture_query(&f, "SELECT count(*) FROM events WHERE machine='loud'") >= 700);
        CU_ASSERT_EQUAL(store_fixture_query(&f, "SELECT max(seq) FROM events"), 5001);
        CU_ASSERT_EQUAL(store_fixture_query(&f,
                                            "SELECT count(*) FROM events"
                                            " WHERE machine='quiet'"),
                        1);
        store_fixture_deinit(&f);
}

/* Open ones are older, and stay; when there are only open ones the oldest go. */
static void test_open_stay(void) {
        StoreFixture f;
        StoreIncidentFilter filter = FIXTURE_ANY;
        ReadResult result;

        store_fixture_init(&f);
        f.limits.incidents = 100;
        store_fixture_open(&f);
        test_put_incidents(&f, "vm1", 60, INCIDENT_STATUS_OPEN, 1);
        test_put_incidents(&f, "vm1", 1000, INCIDENT_STATUS_CLOSED, 1000);
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 100);
        CU_ASSERT_EQUAL(result.numbers[0], 1060);
        filter.status = INCIDENT_STATUS_OPEN;
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 60);

        test_put_incidents(&f, "vm1", 50, INCIDENT_STATUS_OPEN, 2000);
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 100);
        CU_ASSERT_EQUAL(result.numbers[99], 11);
        store_fixture_deinit(&f);
}

static void test_age(void) {
        StoreFixture f;
        StoreIncidentFilter filter = FIXTURE_ANY;
        ReadResult result;
        uint64_t now = test_now(), seq;

        store_fixture_init(&f);
        store_fixture_open(&f);
        test_put_incidents(&f, "vm1", 10, INCIDENT_STATUS_CLOSED, now - 3600 * USEC_PER_SEC);
        test_put_incidents(&f, "vm1", 10, INCIDENT_STATUS_OPEN, now - 3600 * USEC_PER_SEC);
        test_put_incidents(&f, "vm1", 10, INCIDENT_STATUS_CLOSED, now);
        (void) store_fixture_put_event(&f, "vm1"); /* of 1970 */
        seq = store_next_seq(f.store);
        (void) store_put_event(f.store, seq, "vm1", "STOP", now, "{}", 2);
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 30);

        f.limits.age_us = 1800 * USEC_PER_SEC;
        store_set_limits(f.store, &f.limits);
        for (unsigned i = 0; i < 1000 && store_first_seq(f.store) < seq; i++)
                store_fixture_run_for(&f, 10000);
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 20);
        CU_ASSERT_EQUAL(store_first_seq(f.store), seq);
        store_fixture_deinit(&f);
}

/* At no time do the files take more than they may. */
static void test_size(void) {
        static char note[3000];
        StoreFixture f;
        uint64_t most = 0;

        memset(note, 'n', sizeof(note) - 1);
        store_fixture_init(&f);
        f.limits.bytes = 16 << 20;
        f.limits.queue_bytes = 64 << 20;
        store_fixture_open(&f);
        for (unsigned i = 0; i < 200; i++) {
                uint64_t size;

                for (unsigned j = 0; j < 50; j++) {
                        (void) store_fixture_put(&f,
                                                 &(IncidentValues){ .id = store_next_incident(f.store),
                                                                    .machine = "vm1",
                                                                    .status = INCIDENT_STATUS_CLOSED,
                                                                    .opened_us = i,
                                                                    .note = note },
                                                 NULL);
                        (void) store_fixture_put_event(&f, "vm1");
                }
                CU_ASSERT_EQUAL(store_fixture_settle(&f), 0);
                size = store_fixture_file_size(&f, "") + store_fixture_file_size(&f, "-wal");
                most = size > most ? size : most;
        }
        printf("        %.1f MiB of 16\n", (double) most / (1 << 20));
        CU_ASSERT(most < f.limits.bytes);
        CU_ASSERT(most > f.limits.bytes / 2);
        CU_ASSERT_STRING_EQUAL(store_get_health(f.store), "ok");
        store_fixture_close(&f);
        CU_ASSERT(store_fixture_query(&f, "SELECT count(*) FROM incidents") > 1000);
        CU_ASSERT(store_fixture_query(&f, "SELECT count(*) FROM events") > 1000);

        /* A smaller limit: the file shrinks. */
        f.limits.bytes = 8 << 20;
        store_fixture_open(&f);
        store_fixture_run_for(&f, 500000);
        store_fixture_close(&f);
        CU_ASSERT(store_fixture_file_size(&f, "") <= f.limits.bytes);
        store_fixture_deinit(&f);
}

TEST_MAIN("store-trim",
          { "events by count", test_event_count },
          { "quotas of a machine", test_machine_quota },
          { "open incidents stay", test_open_stay },
          { "age", test_age },
          { "size", test_size })
