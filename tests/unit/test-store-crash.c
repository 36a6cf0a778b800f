/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store of a daemon that is killed at any time, with and without the power being cut: what was
 * acknowledged is there, no number is given twice, and the hole is known.
 *
 * A child runs the store and tells over a pipe what it gave and what was acknowledged; a byte that
 * is in the pipe has happened, whatever comes after.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/util/moment.h"
#include "tests/unit/faulty-vfs.h"
#include "tests/unit/harness.h"
#include "tests/unit/store-fixture.h"

#define LIVES 12
#define NUMBERS_MAX 200000
/* Of the disk, at the start of a life. A start that gives up on its disk takes numbers by the clock,
 * far beyond what is counted here; a disk that others keep busy needs some seconds for a sync. */
#define CHILD_WAIT_US (60 * USEC_PER_SEC)

typedef enum ReportType {
        REPORT_INCIDENT, /* its number was given */
        REPORT_EVENT,
        REPORT_SYNCED,  /* the incident was acknowledged, sync */
        REPORT_WRITTEN, /* the same, not sync */
} ReportType;

typedef struct Report {
        ReportType type;
        uint64_t number;
} Report;

typedef struct Waiting {
        uint64_t id;
        bool sync;
} Waiting;

static int report_fd;

static void child_tell(ReportType type, uint64_t number) {
        Report report = { .type = type, .number = number };

        if (write(report_fd, &report, sizeof(report)) != sizeof(report))
                _exit(1);
}

static void child_on_done(int r, void *userdata) {
        Waiting *waiting = userdata;

        if (r == 0)
                child_tell(waiting->sync ? REPORT_SYNCED : REPORT_WRITTEN, waiting->id);
        free(waiting);
}

/* Uses up numbers fast, so that marks are moved, too. */
static void child_put(StoreFixture *f) {
        Timestamp time = {};
        char machine[] = "vm1", run[] = "run", boot_id[] = "boot";
        IncidentInfo info = {
                .machine = machine, .run = run, .time = &time, .opened = &time, .boot_id = boot_id
        };
        Waiting *waiting = malloc(sizeof(*waiting));

        info.id = store_next_incident(f->store);
        *waiting = (Waiting){ .id = info.id, .sync = info.id % 5 == 0 };
        child_tell(REPORT_INCIDENT, info.id);
        if (store_put_incident(f->store, &info, waiting->sync, child_on_done, waiting) < 0)
                _exit(1);
        for (unsigned i = 0; i < 20; i++)
                child_tell(REPORT_EVENT, store_fixture_put_event(f, "vm1"));
}

static _Noreturn void child_run(StoreFixture *f, bool power) {
        if (power) {
                faulty_vfs_register();
                faulty_vfs_remember();
        }
        if (sd_event_new(&f->event) < 0)
                _exit(1);
        if (store_open(&f->store, f->event, f->dir, &f->limits, CHILD_WAIT_US, NULL, NULL) < 0)
                _exit(1);
        if (strcmp(store_get_health(f->store), "ok") != 0) {
                (void) fprintf(stderr, "a life could not begin: %s\n", store_get_health(f->store));
                _exit(2);
        }
        for (;;) {
                child_put(f);
                while (sd_event_run(f->event, 0) > 0)
                        ;
        }
}

typedef struct Told {
        bool *incidents, *events; /* by number: was given */
        uint64_t *acknowledged;
        size_t n_acknowledged;
        unsigned twice;
} Told;

static void told_add(Told *told, const Report *report, bool power) {
        bool *given = NULL;

        CU_ASSERT_FATAL(report->number < 20 * NUMBERS_MAX);
        if (report->type == REPORT_INCIDENT)
                given = &told->incidents[report->number];
        else if (report->type == REPORT_EVENT)
                given = &told->events[report->number];
        if (given && *given)
                told->twice++;
        if (given)
                *given = true;
        else if (report->type == REPORT_SYNCED || !power)
                told->acknowledged[told->n_acknowledged++] = report->number;
}

/* In reports. Some lives are short, and some give more numbers than one mark holds. */
static unsigned parent_choose_length(unsigned life) {
        unsigned n = 200 + life * life * 37 + (unsigned) random() % 500;

        return life % 6 == 5 ? n + 200000 : n;
}

/* One life, and its end. */
static void parent_let_live(StoreFixture *f, Told *told, bool power, unsigned life) {
        int fds[2], status;
        Report report;
        pid_t pid;

        CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
        (void) fflush(stdout);
        pid = fork();
        CU_ASSERT_FATAL(pid >= 0);
        if (pid == 0) {
                (void) close(fds[0]);
                report_fd = fds[1];
                child_run(f, power);
        }
        (void) close(fds[1]);
        /* The pipe is read all the time, so the child is held up by its disk only. */
        for (unsigned n = parent_choose_length(life);
             read(fds[0], &report, sizeof(report)) == sizeof(report);) {
                told_add(told, &report, power);
                if (n > 0 && --n == 0)
                        (void) kill(pid, SIGKILL);
        }
        (void) close(fds[0]);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (power)
                faulty_vfs_cut_power(f->path);
}

static void parent_check(StoreFixture *f, const Told *told) {
        StoreIncidentFilter filter = FIXTURE_ANY;
        ReadResult result;
        unsigned missing = 0;

        store_fixture_open(f);
        CU_ASSERT_STRING_EQUAL(store_get_health(f->store), "ok");
        for (size_t i = 0; i < told->n_acknowledged; i++) {
                filter.id = told->acknowledged[i];
                store_fixture_read_incidents(f, &filter, &result);
                missing += result.n != 1;
        }
        CU_ASSERT_EQUAL(missing, 0);
        CU_ASSERT(told->n_acknowledged > 0);

        /* Every number is in the log, or in a hole: of an unclean end, or of what a life that is
         * faster than its disk dropped. */
        store_fixture_read_events(f, 0, &result);
        for (uint64_t seq = 1, i = 0; seq <= store_last_seq(f->store); seq++) {
                if (i == result.n && result.n == STORE_EVENTS_LIMIT) {
                        store_fixture_read_events(f, seq - 1, &result);
                        i = 0;
                }
                if (i < result.n && result.numbers[i] == seq)
                        i++;
                else if (strcmp(store_explain_missing(f->store, seq), "expired") == 0)
                        missing++;
        }
        CU_ASSERT_EQUAL(missing, 0);
        CU_ASSERT_FALSE(told->events[store_next_seq(f->store)]);
        CU_ASSERT_FALSE(told->incidents[store_next_incident(f->store)]);
        store_fixture_close(f);
}

static void test_lives(bool power) {
        Told told = {
                .incidents = calloc(20 * NUMBERS_MAX, sizeof(bool)),
                .events = calloc(20 * NUMBERS_MAX, sizeof(bool)),
                .acknowledged = calloc(NUMBERS_MAX, sizeof(uint64_t)),
        };
        StoreFixture f;

        store_fixture_init(&f);
        f.event = sd_event_unref(f.event); /* not over a fork() */
        for (unsigned life = 0; life < LIVES; life++)
                parent_let_live(&f, &told, power, life);
        CU_ASSERT_EQUAL(told.twice, 0);
        CU_ASSERT_FATAL(sd_event_new(&f.event) >= 0);
        parent_check(&f, &told);
        store_fixture_deinit(&f);
        free(told.incidents);
        free(told.events);
        free(told.acknowledged);
}

static void test_kill(void) {
        test_lives(false);
}

static void test_power(void) {
        test_lives(true);
}

/* The promise of `sync`, seen at the disk. */
static void test_sync(void) {
        PutResult plain = {}, sync = {};
        StoreFixture f;
        unsigned before;

        faulty_vfs_register();
        store_fixture_init(&f);
        store_fixture_open(&f);
        CU_ASSERT(faulty_vfs_count_syncs("-wal") > 0); /* the mark */

        before = faulty_vfs_count_syncs("-wal");
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 1, .machine = "vm1" }, &plain);
        store_fixture_run_until(&f, &plain.done);
        CU_ASSERT_EQUAL(faulty_vfs_count_syncs("-wal"), before);
        (void) store_fixture_put(&f,
                                 &(IncidentValues){ .id = 2, .machine = "vm1", .sync = true },
                                 &sync);
        store_fixture_run_until(&f, &sync.done);
        CU_ASSERT_EQUAL(faulty_vfs_count_syncs("-wal"), before + 1);
        CU_ASSERT_EQUAL(plain.r, 0);
        CU_ASSERT_EQUAL(sync.r, 0);
        store_fixture_deinit(&f);
}

TEST_MAIN("store-crash",
          { "killed at any time", test_kill },
          { "the power is cut at any time", test_power },
          { "a synced record is synced before it is acknowledged", test_sync })
