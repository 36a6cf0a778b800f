/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/store-fixture.h"

#include <errno.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/util/cleanup.h"
#include "policy/util/moment.h"

static void store_fixture_on_problem(const char *text, void *userdata) {
        StoreFixture *f = userdata;

        f->n_problems++;
        (void) snprintf(f->problem, sizeof(f->problem), "%s", text);
}

static const StoreOps ops = { .problem = store_fixture_on_problem };

static int store_fixture_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

void store_fixture_init(StoreFixture *f) {
        *f = (StoreFixture){ .limits = { .queue_bytes = 16 << 20 } };
        (void) strcpy(f->dir, "/tmp/tocsin-store-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->dir));
        (void) snprintf(f->path, sizeof(f->path), "%s/tocsin.db", f->dir);
        CU_ASSERT_FATAL(sd_event_new(&f->event) >= 0);
}

void store_fixture_deinit(StoreFixture *f) {
        store_fixture_close(f);
        sd_event_unref(f->event);
        (void) nftw(f->dir, store_fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

void store_fixture_open(StoreFixture *f) {
        CU_ASSERT_EQUAL_FATAL(
                store_open(&f->store, f->event, f->dir, &f->limits, FIXTURE_WAIT_US, &ops, f), 0);
}

void store_fixture_close(StoreFixture *f) {
        f->store = store_close(f->store, FIXTURE_WAIT_US);
}

static uint64_t store_fixture_now(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

void store_fixture_run_for(StoreFixture *f, uint64_t us) {
        uint64_t now = store_fixture_now(), until = now + us;

        for (; now < until; now = store_fixture_now())
                CU_ASSERT_FATAL(sd_event_run(f->event, until - now) >= 0);
}

void store_fixture_run_until(StoreFixture *f, const bool *flag) {
        uint64_t until = store_fixture_now() + 10 * FIXTURE_WAIT_US;

        while (!*flag && store_fixture_now() < until)
                CU_ASSERT_FATAL(sd_event_run(f->event, FIXTURE_WAIT_US) >= 0);
        CU_ASSERT_TRUE_FATAL(*flag);
}

void store_fixture_run_until_health(StoreFixture *f, const char *part) {
        uint64_t until = store_fixture_now() + 10 * FIXTURE_WAIT_US;

        while (!strstr(store_get_health(f->store), part) && store_fixture_now() < until)
                CU_ASSERT_FATAL(sd_event_run(f->event, USEC_PER_SEC) >= 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(store_get_health(f->store), part));
}

int store_fixture_settle(StoreFixture *f) {
        ReadResult result = {};

        store_fixture_read_events(f, UINT64_C(1) << 60, &result);
        return result.r;
}

void put_result_set(int r, void *userdata) {
        PutResult *result = userdata;

        result->done = true;
        result->r = r;
        result->n++;
}

int store_fixture_put(StoreFixture *f, const IncidentValues *values, PutResult *result) {
        Timestamp opened = {
                .seconds = (int64_t) (values->opened_us / USEC_PER_SEC),
                .microseconds = (int64_t) (values->opened_us % USEC_PER_SEC),
        };
        char machine[128], note[4096], what[] = "note", run[] = "run-1", boot_id[] = "boot-1";
        char headline[64], signature[64];
        IncidentStep step = { .time = &opened, .what = what, .text = note };
        IncidentStep *steps[] = { &step };
        GuestPanicInformation panic = { .type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V,
                                        .u.hyper_v.arg1 = values->stop_code };
        IncidentInfo info = {
                .id = values->id,
                .machine = machine,
                .run = run,
                .kind = values->kind,
                .status = values->status,
                .time = &opened,
                .opened = &opened,
                .boot_id = boot_id,
                .steps = steps,
                .n_steps = 1,
                .info = values->stop_code > 0 ? &panic : NULL,
                .headline = values->signature ? headline : NULL,
                .signature = values->signature ? signature : NULL,
        };

        (void) snprintf(machine, sizeof(machine), "%s", values->machine);
        (void) snprintf(note, sizeof(note), "%s", values->note ? values->note : "");
        (void) snprintf(headline, sizeof(headline), "headline %u", (unsigned) values->id);
        (void) snprintf(signature, sizeof(signature), "%s", values->signature ? values->signature : "");
        return store_put_incident(f->store, &info, values->sync, result ? put_result_set : NULL, result);
}

uint64_t store_fixture_put_event(StoreFixture *f, const char *machine) {
        uint64_t seq = store_next_seq(f->store);
        char text[256];
        int n;

        n = snprintf(text,
                     sizeof(text),
                     "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\","
                     " \"data\": {\"machine\": \"%s\", \"seq\": %llu}}",
                     machine,
                     (unsigned long long) seq);
        (void) store_put_event(f->store, seq, machine, "STOP", 1000 + seq, text, (size_t) n);
        return seq;
}

static void store_fixture_on_events(int r,
                                    const uint64_t *seqs,
                                    char *const *texts,
                                    size_t n,
                                    void *userdata) {
        ReadResult *result = userdata;

        result->done = true;
        result->r = r;
        result->n = n;
        for (size_t i = 0; i < n; i++)
                result->numbers[i] = seqs[i];
        if (n > 0)
                (void) snprintf(result->first_text, sizeof(result->first_text), "%s", texts[0]);
}

void store_fixture_read_events(StoreFixture *f, uint64_t after, ReadResult *result) {
        StoreEventFilter filter = { .after = after, .limit = STORE_EVENTS_LIMIT };

        *result = (ReadResult){};
        CU_ASSERT_EQUAL_FATAL(store_read_events(f->store, &filter, store_fixture_on_events, result),
                              0);
        CU_ASSERT_FALSE(result->done);
        store_fixture_run_until(f, &result->done);
}

static void store_fixture_on_incidents(int r, json_object *const *records, size_t n, void *userdata) {
        ReadResult *result = userdata;

        result->done = true;
        result->r = r;
        result->n = n;
        for (size_t i = 0; i < n; i++)
                result->numbers[i] = json_object_get_uint64(json_object_object_get(records[i], "id"));
}

void store_fixture_read_incidents(StoreFixture *f,
                                  const StoreIncidentFilter *filter,
                                  ReadResult *result) {
        *result = (ReadResult){};
        CU_ASSERT_EQUAL_FATAL(
                store_read_incidents(f->store, filter, store_fixture_on_incidents, result), 0);
        CU_ASSERT_FALSE(result->done);
        store_fixture_run_until(f, &result->done);
}

int64_t store_fixture_query(StoreFixture *f, const char *sql) {
        sqlite3_stmt *statement = NULL;
        sqlite3 *db = NULL;
        int64_t value = -1;

        if (sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
                if (sqlite3_step(statement) == SQLITE_ROW)
                        value = sqlite3_column_int64(statement, 0);
                else if (sqlite3_errcode(db) == SQLITE_DONE)
                        value = 0;
        }
        (void) sqlite3_finalize(statement);
        (void) sqlite3_close(db);
        return value;
}

uint64_t store_fixture_file_size(StoreFixture *f, const char *suffix) {
        char path[256];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%s%s", f->path, suffix);
        return stat(path, &st) < 0 ? 0 : (uint64_t) st.st_size;
}
