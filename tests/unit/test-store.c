/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store on a disk that does its part. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "policy/util/moment.h"
#include "tests/unit/harness.h"
#include "tests/unit/store-fixture.h"

static void test_events(void) {
        StoreFixture f;
        ReadResult result;

        store_fixture_init(&f);
        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_get_health(f.store), "ok");
        CU_ASSERT_EQUAL(strlen(store_get_log(f.store)), 36);
        CU_ASSERT_EQUAL(store_last_seq(f.store), 0);
        CU_ASSERT_EQUAL(store_first_seq(f.store), 1);

        for (unsigned i = 1; i <= 300; i++)
                CU_ASSERT_EQUAL(store_fixture_put_event(&f, "vm1"), i);
        CU_ASSERT_EQUAL(store_last_seq(f.store), 300);

        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.r, 0);
        CU_ASSERT_EQUAL(result.n, 256);
        CU_ASSERT_EQUAL(result.numbers[0], 1);
        CU_ASSERT_EQUAL(result.numbers[255], 256);
        CU_ASSERT_PTR_NOT_NULL(strstr(result.first_text, "\"seq\": 1}"));
        store_fixture_read_events(&f, 256, &result);
        CU_ASSERT_EQUAL(result.n, 44);
        CU_ASSERT_EQUAL(result.numbers[43], 300);
        CU_ASSERT_EQUAL(store_first_seq(f.store), 1);
        store_fixture_deinit(&f);
}

/* Nobody asks for them, and nothing else is written. */
static void test_gathered_events(void) {
        StoreFixture f;
        int64_t n = 0;

        store_fixture_init(&f);
        store_fixture_open(&f);
        for (unsigned i = 0; i < 3; i++)
                store_fixture_put_event(&f, "vm1");
        for (unsigned i = 0; n < 3 && i < 500; i++) {
                store_fixture_run_for(&f, 10000);
                n = store_fixture_query(&f, "SELECT count(*) FROM events");
        }
        CU_ASSERT_EQUAL(n, 3);
        store_fixture_close(&f);
        store_fixture_deinit(&f);
}

static void test_clean_restart(void) {
        StoreFixture f;
        ReadResult result;
        char log[64];

        store_fixture_init(&f);
        store_fixture_open(&f);
        (void) strcpy(log, store_get_log(f.store));
        (void) store_fixture_put_event(&f, "vm1");
        (void) store_fixture_put_event(&f, "vm1");
        CU_ASSERT_EQUAL(store_next_incident(f.store), 1);
        store_fixture_close(&f);
        /* all of it is in the one file */
        CU_ASSERT_EQUAL(store_fixture_file_size(&f, "-wal"), 0);

        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_get_log(f.store), log);
        CU_ASSERT_EQUAL(store_last_seq(f.store), 2);
        CU_ASSERT_EQUAL(store_next_incident(f.store), 2);
        CU_ASSERT_EQUAL(store_fixture_put_event(&f, "vm1"), 3);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 3);
        store_fixture_deinit(&f);
}

static void test_incidents(void) {
        StoreFixture f;
        StoreIncidentFilter filter = FIXTURE_ANY;
        PutResult first = {}, second = {};
        ReadResult result;

        store_fixture_init(&f);
        store_fixture_open(&f);
        CU_ASSERT_EQUAL(store_fixture_put(&f,
                                          &(IncidentValues){ .id = 1,
                                                             .machine = "vm1",
                                                             .kind = INCIDENT_KIND_PANIC,
                                                             .opened_us = 1000,
                                                             .sync = true },
                                          &first),
                        0);
        CU_ASSERT_EQUAL(store_fixture_put(&f,
                                          &(IncidentValues){ .id = 2,
                                                             .machine = "vm2",
                                                             .kind = INCIDENT_KIND_WATCHDOG,
                                                             .status = INCIDENT_STATUS_CLOSED,
                                                             .opened_us = 2000 },
                                          &second),
                        0);
        /* never from within */
        CU_ASSERT_FALSE(first.done);
        store_fixture_run_until(&f, &second.done);
        CU_ASSERT_TRUE(first.done);
        CU_ASSERT_EQUAL(first.r, 0);
        CU_ASSERT_EQUAL(second.r, 0);

        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 2);
        CU_ASSERT_EQUAL(result.numbers[0], 2);
        CU_ASSERT_EQUAL(result.numbers[1], 1);

        /* The same number again replaces the record. */
        (void) store_fixture_put(&f,
                                 &(IncidentValues){ .id = 1,
                                                    .machine = "vm1",
                                                    .kind = INCIDENT_KIND_PANIC,
                                                    .status = INCIDENT_STATUS_CLOSED,
                                                    .opened_us = 1000 },
                                 NULL);
        filter.status = INCIDENT_STATUS_CLOSED;
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 2);
        filter.status = INCIDENT_STATUS_OPEN;
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 0);
        store_fixture_deinit(&f);
}

static void test_filters(void) {
        static const struct {
                StoreIncidentFilter filter;
                size_t n;
                uint64_t first; /* number of the newest one that matches */
        } cases[] = {
                { { .kind = -1, .status = -1 }, 100, 100 },
                { { .kind = -1, .status = -1, .limit = 7 }, 7, 100 },
                { { .kind = -1, .status = -1, .before = 50 }, 49, 49 },
                { { .kind = -1, .status = -1, .id = 42 }, 1, 42 },
                { { .kind = -1, .status = -1, .id = 420 }, 0, 0 },
                { { .kind = -1, .status = -1, .machine = "vm1" }, 10, 91 },
                { { .kind = -1, .status = -1, .machine = "vm[01]" }, 20, 100 },
                { { .kind = -1, .status = -1, .machine = "*2" }, 10, 92 },
                { { .kind = INCIDENT_KIND_PANIC, .status = -1 }, 50, 99 },
                { { .kind = -1, .status = INCIDENT_STATUS_HELD }, 25, 98 },
                { { .kind = -1, .status = -1, .since_real_us = 91000 }, 10, 100 },
                { { .kind = -1, .status = -1, .until_real_us = 91000 }, 90, 90 },
                { { .kind = -1, .status = -1, .signature = "9f-3" }, 5, 100 },
                { { .kind = -1, .status = -1, .signature = "9f" }, 0, 0 },
                { { .kind = -1, .status = -1, .cause = "9f" }, 5, 100 },
                { { .kind = INCIDENT_KIND_PANIC,
                    .status = -1,
                    .machine = "vm1",
                    .since_real_us = 51000,
                    .before = 90 },
                  4,
                  81 },
        };
        StoreFixture f;
        ReadResult result;

        store_fixture_init(&f);
        store_fixture_open(&f);
        for (unsigned i = 1; i <= 100; i++) {
                char machine[16];

                (void) snprintf(machine, sizeof(machine), "vm%u", i % 10);
                (void) store_fixture_put(&f,
                                         &(IncidentValues){
                                                 .id = i,
                                                 .machine = machine,
                                                 .kind = i % 2 ? INCIDENT_KIND_PANIC
                                                               : INCIDENT_KIND_WATCHDOG,
                                                 .status = i % 4 == 2 ? INCIDENT_STATUS_HELD
                                                                      : INCIDENT_STATUS_CLOSED,
                                                 .opened_us = i * 1000,
                                                 .signature = i % 20 == 0 ? "9f-3" : "7e",
                                                 .stop_code = i % 20 == 0 ? 0x9f : 0 },
                                         NULL);
        }
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                store_fixture_read_incidents(&f, &cases[i].filter, &result);
                CU_ASSERT_EQUAL(result.r, 0);
                CU_ASSERT_EQUAL(result.n, cases[i].n);
                if (cases[i].n > 0)
                        CU_ASSERT_EQUAL(result.numbers[0], cases[i].first);
        }
        store_fixture_deinit(&f);
}

typedef struct Groups {
        bool done;
        char text[4096];
} Groups;

static void test_on_groups(int r, json_object *const *records, size_t n, void *userdata) {
        Groups *groups = userdata;
        size_t used = 0;

        CU_ASSERT_EQUAL(r, 0);
        groups->text[0] = '\0';
        for (size_t i = 0; i < n; i++)
                used += (size_t) snprintf(groups->text + used,
                                          sizeof(groups->text) - used,
                                          "%s\n",
                                          json_object_to_json_string_ext(records[i],
                                                                         JSON_C_TO_STRING_PLAIN));
        groups->done = true;
}

static void test_read_groups(StoreFixture *f, const StoreIncidentFilter *filter, Groups *ret) {
        ret->done = false;
        CU_ASSERT_EQUAL_FATAL(store_read_crashes(f->store, filter, test_on_groups, ret), 0);
        store_fixture_run_until(f, &ret->done);
}

static void test_crashes(void) {
        static const struct {
                const char *machine, *signature;
        } crashes[] = { { "vm1", "9f-3" }, { "vm2", "9f-3" }, { "vm1", "7e" },
                        { "vm1", "9f-3" }, { "vm3", NULL },   { "vm10", "panic" } };
        StoreIncidentFilter filter = FIXTURE_ANY;
        StoreFixture f;
        Groups groups;

        store_fixture_init(&f);
        store_fixture_open(&f);
        for (unsigned i = 0; i < ELEMENTSOF(crashes); i++)
                (void) store_fixture_put(&f,
                                         &(IncidentValues){ .id = i + 1,
                                                            .machine = crashes[i].machine,
                                                            .kind = INCIDENT_KIND_PANIC,
                                                            .opened_us = (i + 1) * 1000,
                                                            .signature = crashes[i].signature },
                                         NULL);
        filter.machine = "vm1";
        test_read_groups(&f, &filter, &groups);
        CU_ASSERT_STRING_EQUAL(
                groups.text,
                "{\"signature\":\"9f-3\",\"kind\":\"panic\",\"headline\":\"headline 4\",\"count\":2,"
                "\"first\":{\"seconds\":0,\"microseconds\":1000},"
                "\"last\":{\"seconds\":0,\"microseconds\":4000},\"newest\":4,\"machines\":1,"
                "\"most\":[{\"machine\":\"vm1\",\"count\":2}]}\n"
                "{\"signature\":\"7e\",\"kind\":\"panic\",\"headline\":\"headline 3\",\"count\":1,"
                "\"first\":{\"seconds\":0,\"microseconds\":3000},"
                "\"last\":{\"seconds\":0,\"microseconds\":3000},\"newest\":3,\"machines\":1,"
                "\"most\":[{\"machine\":\"vm1\",\"count\":1}]}\n");
        filter.machine = NULL;
        filter.signature = "9f-3";
        test_read_groups(&f, &filter, &groups);
        CU_ASSERT_PTR_NOT_NULL(strstr(groups.text, "\"count\":3"));
        CU_ASSERT_PTR_NOT_NULL(strstr(groups.text,
                                      "\"machines\":2,\"most\":[{\"machine\":\"vm1\",\"count\":2},"
                                      "{\"machine\":\"vm2\",\"count\":1}]"));
        CU_ASSERT_PTR_NULL(strstr(groups.text, "7e"));
        /* the largest, when not all are wanted */
        filter.signature = NULL;
        filter.limit = 1;
        test_read_groups(&f, &filter, &groups);
        CU_ASSERT_EQUAL(strncmp(groups.text, "{\"signature\":\"9f-3\"", 19), 0);
        CU_ASSERT_PTR_NULL(strstr(groups.text, "7e"));
        filter.until_real_us = 1000;
        test_read_groups(&f, &filter, &groups);
        CU_ASSERT_STRING_EQUAL(groups.text, "");
        filter.until_real_us = 0;
        filter.kind = INCIDENT_KIND_WATCHDOG;
        test_read_groups(&f, &filter, &groups);
        CU_ASSERT_STRING_EQUAL(groups.text, "");
        store_fixture_deinit(&f);
}

typedef struct Loaded {
        unsigned n;
        uint64_t first, last;
        bool ordered;
} Loaded;

static void test_on_record(json_object *record, void *userdata) {
        uint64_t id = json_object_get_uint64(json_object_object_get(record, "id"));
        Loaded *loaded = userdata;

        if (loaded->n++ == 0)
                loaded->first = id;
        else if (id <= loaded->last)
                loaded->ordered = false;
        loaded->last = id;
}

static void test_on_machine(const char *machine, const char *run, json_object *info, void *userdata) {
        Loaded *loaded = userdata;

        loaded->n++;
        if (strcmp(machine, "vm1") == 0) {
                CU_ASSERT_STRING_EQUAL(run, "run-b");
                CU_ASSERT_EQUAL(json_object_get_int(json_object_object_get(info, "pid")), 7);
        } else {
                CU_ASSERT_STRING_EQUAL(machine, "vm2");
                CU_ASSERT_PTR_NULL(info);
        }
}

static void test_load(void) {
        Loaded open = { .ordered = true }, recent = { .ordered = true }, machines = {};
        json_object *info;
        StoreFixture f;

        store_fixture_init(&f);
        store_fixture_open(&f);
        for (unsigned i = 1; i <= 1000; i++)
                (void) store_fixture_put(&f,
                                         &(IncidentValues){
                                                 .id = i,
                                                 .machine = "vm1",
                                                 .status = i % 10 == 0 ? INCIDENT_STATUS_ACTING
                                                                       : INCIDENT_STATUS_CLOSED,
                                                 .opened_us = i / 2 },
                                         NULL);
        info = json_object_new_object();
        (void) json_object_object_add(info, "pid", json_object_new_int(7));
        (void) store_put_machine(f.store, "vm1", "run-a", NULL);
        (void) store_put_machine(f.store, "vm1", "run-b", info);
        (void) store_put_machine(f.store, "vm2", "run-c", NULL);
        json_object_put(info);
        store_fixture_close(&f);

        store_fixture_open(&f);
        CU_ASSERT_EQUAL(store_load_open_incidents(f.store, test_on_record, &open), 0);
        CU_ASSERT_EQUAL(open.n, 100);
        CU_ASSERT_EQUAL(open.first, 10);
        CU_ASSERT_EQUAL(open.last, 1000);
        CU_ASSERT_TRUE(open.ordered);
        /* opened at 100 or later: 200 to 1000, but for those that are open */
        CU_ASSERT_EQUAL(store_load_recent_incidents(f.store, 100, test_on_record, &recent), 0);
        CU_ASSERT_EQUAL(recent.n, 801 - 81);
        CU_ASSERT_EQUAL(recent.first, 201);
        CU_ASSERT_TRUE(recent.ordered);
        CU_ASSERT_EQUAL(store_load_machines(f.store, test_on_machine, &machines), 0);
        CU_ASSERT_EQUAL(machines.n, 2);
        store_fixture_deinit(&f);
}

static void test_files(void) {
        StoreFixture f;
        struct stat st;
        mode_t mask = umask(0);

        store_fixture_init(&f);
        (void) strcat(f.dir, "/state");
        (void) snprintf(f.path, sizeof(f.path), "%s/tocsin.db", f.dir);
        store_fixture_open(&f);
        CU_ASSERT_EQUAL(stat(f.dir, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0750);
        CU_ASSERT_EQUAL(stat(f.path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0640);
        (void) strcat(f.path, "-wal");
        CU_ASSERT_EQUAL(stat(f.path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0640);
        store_fixture_close(&f);
        store_fixture_deinit(&f);
        *strrchr(f.dir, '/') = '\0';
        (void) remove(f.dir);
        (void) umask(mask);
}

static void test_limits_of_rows(void) {
        static char large[STORE_EVENT_MAX + 1];
        StoreFixture f;
        uint64_t seq;

        store_fixture_init(&f);
        store_fixture_open(&f);
        memset(large, 'x', sizeof(large));
        seq = store_next_seq(f.store);
        CU_ASSERT_EQUAL(store_put_event(f.store, seq, "vm1", "STOP", 1, large, sizeof(large)),
                        -EFBIG);
        CU_ASSERT_EQUAL(store_get_lost(f.store), 1);
        CU_ASSERT_STRING_EQUAL(store_explain_missing(f.store, seq), "store");
        CU_ASSERT_EQUAL(
                store_put_event(
                        f.store, store_next_seq(f.store), "vm1", "STOP", 1, large, sizeof(large) - 1),
                0);
        CU_ASSERT_EQUAL(store_fixture_settle(&f), 0);
        CU_ASSERT_EQUAL(store_read_events(f.store,
                                          &(StoreEventFilter){ .limit = STORE_EVENTS_LIMIT + 1 },
                                          NULL,
                                          NULL),
                        -EINVAL);
        store_fixture_deinit(&f);
}

/* What is asked for and not answered yet is dropped by store_close(). */
static void test_close_drops_answers(void) {
        ReadResult result = {};
        PutResult put = {};
        StoreFixture f;

        store_fixture_init(&f);
        store_fixture_open(&f);
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 1, .machine = "vm1" }, &put);
        store_fixture_close(&f);
        store_fixture_run_for(&f, 1000);
        CU_ASSERT_FALSE(put.done);

        store_fixture_open(&f);
        store_fixture_read_incidents(&f, &FIXTURE_ANY, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        store_fixture_deinit(&f);
}

static void test_second_daemon(void) {
        StoreFixture f, g;

        store_fixture_init(&f);
        store_fixture_init(&g);
        (void) remove(g.dir);
        (void) strcpy(g.dir, f.dir);
        store_fixture_open(&f);
        store_fixture_open(&g);
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(g.store), "another tocsind"));
        CU_ASSERT(store_next_incident(g.store) > UINT64_C(1000000000000000));
        CU_ASSERT_EQUAL(store_next_incident(f.store), 1);
        store_fixture_close(&g);
        sd_event_unref(g.event);
        store_fixture_deinit(&f);
}

/* 10,000 guests that panic at once, and what they say. */
static void test_speed(void) {
        struct timespec begin, end;
        PutResult put = {};
        StoreFixture f;
        double seconds;

        store_fixture_init(&f);
        f.limits = (StoreLimits){ .incidents = 100000,
                                  .incidents_per_machine = 1000,
                                  .events = 1000000,
                                  .events_per_machine = 10000,
                                  .bytes = 256 << 20,
                                  .queue_bytes = 64 << 20 };
        store_fixture_open(&f);
        (void) clock_gettime(CLOCK_MONOTONIC, &begin);
        for (unsigned i = 0; i < 10000; i++) {
                char machine[16];

                (void) snprintf(machine, sizeof(machine), "guest-%u", i);
                (void) store_fixture_put(&f,
                                         &(IncidentValues){ .id = store_next_incident(f.store),
                                                            .machine = machine,
                                                            .opened_us = i },
                                         &put);
                for (unsigned j = 0; j < 3; j++)
                        (void) store_fixture_put_event(&f, machine);
        }
        CU_ASSERT_EQUAL(store_fixture_settle(&f), 0);
        (void) clock_gettime(CLOCK_MONOTONIC, &end);
        seconds = (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9;
        printf("        10,000 incidents and 30,000 events in %.2f s\n", seconds);
        /* ample, for a busy machine and the sanitizers; make bench has the real figure */
        CU_ASSERT(seconds < 20);
        CU_ASSERT_EQUAL(put.n, 10000);
        CU_ASSERT_EQUAL(store_get_lost(f.store), 0);
        CU_ASSERT_EQUAL(store_next_incident(f.store), 10001);
        CU_ASSERT_EQUAL(store_next_seq(f.store), 30001);
        store_fixture_deinit(&f);
}

TEST_MAIN("store",
          { "events come back in order", test_events },
          { "events are written unasked", test_gathered_events },
          { "numbers go on after a clean end", test_clean_restart },
          { "incidents are kept and replaced", test_incidents },
          { "filters", test_filters },
          { "equal crashes are counted", test_crashes },
          { "what is loaded at start", test_load },
          { "modes of files", test_files },
          { "bounds of one event", test_limits_of_rows },
          { "nobody is called after the end", test_close_drops_answers },
          { "a second daemon is kept out", test_second_daemon },
          { "ten thousand panics", test_speed })
