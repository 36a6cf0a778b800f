/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store on a disk that does not do its part. Nothing stops, and each fault is told. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/util/moment.h"
#include "tests/unit/faulty-vfs.h"
#include "tests/unit/harness.h"
#include "tests/unit/store-fixture.h"

/* Numbers from the clock are larger. */
#define LEAP UINT64_C(1000000000000000)

static void test_write_at(const char *path, off_t at, const char *data, size_t n) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(pwrite(fd, data, n, at), (ssize_t) n);
        (void) close(fd);
}

static bool test_exists(const StoreFixture *f, const char *suffix) {
        char path[256];

        (void) snprintf(path, sizeof(path), "%s%s", f->path, suffix);
        return access(path, F_OK) == 0;
}

static void test_copy(const char *from, const char *to) {
        static char data[1 << 20];
        int fd = open(from, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        CU_ASSERT_FATAL(fd >= 0);
        n = read(fd, data, sizeof(data));
        (void) close(fd);
        CU_ASSERT_FATAL(n >= 0);
        test_write_at(to, 0, data, (size_t) n);
}

/* What a daemon that was killed now would leave behind. */
static void test_take_snapshot(const StoreFixture *f, const StoreFixture *to) {
        char from_wal[256], to_wal[256];

        (void) snprintf(from_wal, sizeof(from_wal), "%s-wal", f->path);
        (void) snprintf(to_wal, sizeof(to_wal), "%s-wal", to->path);
        test_copy(f->path, to->path);
        test_copy(from_wal, to_wal);
}

/* Opens, works, says what happened. */
static void test_check_set_aside(StoreFixture *f, const char *label) {
        char suffix[64];
        ReadResult result;

        store_fixture_open(f);
        (void) snprintf(suffix, sizeof(suffix), ".%s-1", label);
        CU_ASSERT_TRUE(test_exists(f, suffix));
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f->store), suffix + 1));
        CU_ASSERT_PTR_NOT_NULL(strstr(f->problem, suffix + 1));
        (void) store_fixture_put_event(f, "vm1");
        store_fixture_read_events(f, 0, &result);
        CU_ASSERT_EQUAL(result.r, 0);
        CU_ASSERT_EQUAL(result.n, 1);
}

static void test_garbage(void) {
        StoreFixture f;
        char garbage[5000];

        memset(garbage, 'g', sizeof(garbage));
        store_fixture_init(&f);
        test_write_at(f.path, 0, garbage, sizeof(garbage));
        test_check_set_aside(&f, "damaged");
        /* Nobody knows which numbers were used. */
        CU_ASSERT(store_next_incident(f.store) > LEAP);
        store_fixture_close(&f);
        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_get_health(f.store), "ok");
        CU_ASSERT(store_next_incident(f.store) > LEAP);
        store_fixture_deinit(&f);
}

static void test_make_database(StoreFixture *f, unsigned n) {
        store_fixture_init(f);
        store_fixture_open(f);
        for (unsigned i = 0; i < n; i++) {
                (void) store_fixture_put_event(f, "vm1");
                (void) store_next_incident(f->store);
        }
        store_fixture_close(f);
}

static void test_truncated(void) {
        StoreFixture f;

        for (off_t size = 100; size < 5 * 4096; size += 5000) {
                test_make_database(&f, 1000);
                CU_ASSERT_EQUAL(truncate(f.path, size), 0);
                test_check_set_aside(&f, "damaged");
                store_fixture_deinit(&f);
        }
}

static void test_header(void) {
        StoreFixture f;

        test_make_database(&f, 10);
        test_write_at(f.path, 5, "X", 1);
        test_check_set_aside(&f, "damaged");
        store_fixture_deinit(&f);
}

/* A mark that can still be read keeps the numbers small. */
static void test_damaged_rows(void) {
        StoreFixture f, g;
        char garbage[4096];

        test_make_database(&f, 5000);
        store_fixture_init(&g);
        store_fixture_open(&f);
        (void) store_fixture_put_event(&f, "vm1");
        (void) store_fixture_settle(&f);
        test_take_snapshot(&f, &g);
        store_fixture_deinit(&f);
        memset(garbage, 0xee, sizeof(garbage));
        for (off_t page = 40; page < 60; page++)
                test_write_at(g.path, page * 4096, garbage, sizeof(garbage));
        test_check_set_aside(&g, "damaged");
        CU_ASSERT(store_next_incident(g.store) > 5000);
        CU_ASSERT(store_next_incident(g.store) < LEAP);
        store_fixture_deinit(&g);
}

static void test_foreign(void) {
        StoreFixture f;
        sqlite3 *db;
        char log[64];

        test_make_database(&f, 10);
        CU_ASSERT_EQUAL(sqlite3_open(f.path, &db), SQLITE_OK);
        CU_ASSERT_EQUAL(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(db);
        test_check_set_aside(&f, "foreign");
        CU_ASSERT_PTR_NOT_NULL(strstr(f.problem, "version 99"));
        CU_ASSERT_EQUAL(store_next_incident(f.store), 11);
        (void) strcpy(log, f.path);
        (void) strcat(f.path, ".foreign-1");
        CU_ASSERT_EQUAL(store_fixture_query(&f, "PRAGMA user_version"), 99);
        CU_ASSERT_EQUAL(store_fixture_query(&f, "SELECT count(*) FROM events"), 10);
        (void) strcpy(f.path, log);
        store_fixture_deinit(&f);

        store_fixture_init(&f);
        CU_ASSERT_EQUAL(sqlite3_open(f.path, &db), SQLITE_OK);
        CU_ASSERT_EQUAL(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(db);
        test_check_set_aside(&f, "foreign");
        store_fixture_deinit(&f);
}

static void test_rotation(void) {
        StoreFixture f;

        test_make_database(&f, 1);
        for (char c = 'a'; c <= 'f'; c++) {
                CU_ASSERT_EQUAL(truncate(f.path, 0), 0);
                if (c != 'a') /* empty is damaged, too */
                        test_write_at(f.path, 0, &c, 1);
                store_fixture_open(&f);
                CU_ASSERT(store_next_incident(f.store) > LEAP);
                store_fixture_close(&f);
        }
        CU_ASSERT_TRUE(test_exists(&f, ".damaged-1"));
        CU_ASSERT_TRUE(test_exists(&f, ".damaged-3"));
        CU_ASSERT_FALSE(test_exists(&f, ".damaged-4"));
        store_fixture_deinit(&f);
}

/* Damage is met while the daemon runs: the batch goes to a new file, numbers go on. */
static void test_damage_in_use(void) {
        PutResult put = {};
        StoreFixture f;
        ReadResult result;
        char log[64];

        test_make_database(&f, 5000);
        store_fixture_open(&f);
        (void) strcpy(log, store_get_log(f.store));
        faulty_vfs_fail_read(SQLITE_CORRUPT);
        store_fixture_read_events(&f, 100, &result);
        CU_ASSERT_EQUAL(result.r, -EIO);
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 7, .machine = "vm1" }, &put);
        store_fixture_run_until(&f, &put.done);
        CU_ASSERT_EQUAL(put.r, 0);
        CU_ASSERT_TRUE(test_exists(&f, ".damaged-1"));
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f.store), "damaged-1"));
        CU_ASSERT_STRING_NOT_EQUAL(store_get_log(f.store), log);
        CU_ASSERT_EQUAL(store_next_incident(f.store), 5001);
        CU_ASSERT_EQUAL(store_fixture_put_event(&f, "vm1"), 5001);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        store_fixture_close(&f);

        store_fixture_open(&f);
        CU_ASSERT_EQUAL(store_next_incident(f.store), 5002);
        store_fixture_deinit(&f);
}

static void test_removed(void) {
        StoreFixture f;
        ReadResult result;

        test_make_database(&f, 10);
        store_fixture_open(&f);
        CU_ASSERT_EQUAL(remove(f.path), 0);
        CU_ASSERT_EQUAL(store_fixture_put_event(&f, "vm1"), 11);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f.store), "removed"));
        CU_ASSERT_TRUE(test_exists(&f, ""));
        store_fixture_deinit(&f);
}

/* There is no folder: memory. When there is one, everything moves there. */
static void test_memory(void) {
        StoreIncidentFilter filter = FIXTURE_ANY;
        PutResult put = {};
        StoreFixture f;
        ReadResult result;
        uint64_t id, seq;
        char log[64], dir[64];

        store_fixture_init(&f);
        (void) strcpy(dir, f.dir);
        (void) strcat(f.dir, "/a-file");
        test_write_at(f.dir, 0, "", 0);
        (void) snprintf(f.path, sizeof(f.path), "%s/tocsin.db", f.dir);
        store_fixture_open(&f);
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f.store), "in memory only"));
        (void) strcpy(log, store_get_log(f.store));
        id = store_next_incident(f.store);
        CU_ASSERT(id > LEAP);
        (void) store_fixture_put(&f, &(IncidentValues){ .id = id, .machine = "vm1" }, &put);
        seq = store_fixture_put_event(&f, "vm1");
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        CU_ASSERT_TRUE(put.done);
        CU_ASSERT_EQUAL(put.r, 0);

        CU_ASSERT_EQUAL(remove(f.dir), 0);
        store_fixture_run_until_health(&f, "ok");
        CU_ASSERT_STRING_EQUAL(store_get_log(f.store), log);
        store_fixture_close(&f);
        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_get_log(f.store), log);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        CU_ASSERT_EQUAL(result.numbers[0], seq);
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        CU_ASSERT_EQUAL(store_next_incident(f.store), id + 1);
        store_fixture_close(&f);
        (void) strcpy(f.dir, dir);
        store_fixture_deinit(&f);
}

static void test_full(void) {
        StoreIncidentFilter filter = FIXTURE_ANY;
        PutResult first = {}, second = {};
        StoreFixture f;
        ReadResult result;

        test_make_database(&f, 10);
        store_fixture_open(&f);
        faulty_vfs_fail_writes(SQLITE_FULL);
        (void) store_fixture_put(&f,
                                 &(IncidentValues){ .id = 1, .machine = "vm1", .sync = true },
                                 &first);
        store_fixture_run_until(&f, &first.done);
        CU_ASSERT_EQUAL(first.r, -ENOSPC);
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f.store), "full"));
        /* Now that it is known the answer comes at once; what is there can be read. */
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 2, .machine = "vm1" }, &second);
        CU_ASSERT_FALSE(second.done);
        store_fixture_run_until(&f, &second.done);
        CU_ASSERT_EQUAL(second.r, -ENOSPC);
        store_fixture_read_events(&f, 0, &result);
        CU_ASSERT_EQUAL(result.n, 10);

        faulty_vfs_fail_writes(0);
        store_fixture_run_until_health(&f, "ok");
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 2);
        CU_ASSERT_EQUAL(first.n, 1);
        CU_ASSERT_EQUAL(store_get_lost(f.store), 0);
        store_fixture_deinit(&f);
}

/* A file system of 16 MiB that a ballast fills. Returns false when we may not. */
static bool test_mount(const StoreFixture *f, char *ballast, size_t n) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", f->dir, "tmpfs", 0, "size=16m") < 0)
                return false;
        (void) snprintf(ballast, n, "%s/ballast", f->dir);
        return true;
}

static void test_fill(const char *ballast) {
        static const char block[4096];
        int fd = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        CU_ASSERT_FATAL(fd >= 0);
        while (write(fd, block, sizeof(block)) > 0)
                ;
        (void) close(fd);
}

/* As above with a file system that is really full: SQLite's own way through it. */
static void test_really_full(void) {
        StoreFixture f;
        ReadResult result;
        uint64_t lost, n = 0;
        char ballast[128];

        store_fixture_init(&f);
        if (!test_mount(&f, ballast, sizeof(ballast))) {
                store_fixture_deinit(&f);
                harness_skip("the right to mount");
                return;
        }
        store_fixture_open(&f);
        (void) store_fixture_put_event(&f, "vm1");
        (void) store_fixture_settle(&f);
        test_fill(ballast);
        for (unsigned i = 0; i < 3000; i++)
                (void) store_fixture_put_event(&f, "vm1");
        store_fixture_run_until_health(&f, "full");
        CU_ASSERT_EQUAL(truncate(ballast, 0), 0);
        store_fixture_run_until_health(&f, "ok");
        lost = store_get_lost(f.store);
        CU_ASSERT_EQUAL(lost, 0);
        do {
                store_fixture_read_events(&f, n, &result);
                CU_ASSERT_EQUAL(result.r, 0);
                n += result.n;
        } while (result.n > 0);
        CU_ASSERT_EQUAL(n, 3001);

        /* Full when it ends, full when it starts. */
        test_fill(ballast);
        store_fixture_close(&f);
        store_fixture_open(&f);
        n = store_fixture_put_event(&f, "vm1");
        CU_ASSERT(n > 3001);
        CU_ASSERT_EQUAL(truncate(ballast, 0), 0);
        store_fixture_run_until_health(&f, "ok");
        store_fixture_read_events(&f, n - 1, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        store_fixture_close(&f);
        CU_ASSERT_EQUAL(umount(f.dir), 0);
        store_fixture_deinit(&f);
}

/* The queue has an end: events go first, the oldest first. */
static void test_overflow(void) {
        StoreIncidentFilter filter = FIXTURE_ANY;
        StoreFixture f;
        ReadResult result;
        uint64_t lost;

        test_make_database(&f, 10);
        f.limits.queue_bytes = 0; /* the least */
        store_fixture_open(&f);
        faulty_vfs_fail_writes(SQLITE_IOERR_WRITE);
        for (unsigned i = 1; i <= 1000; i++)
                (void) store_fixture_put(&f, &(IncidentValues){ .id = i, .machine = "vm1" }, NULL);
        for (unsigned i = 0; i < 20000; i++)
                (void) store_fixture_put_event(&f, "vm1");
        lost = store_get_lost(f.store);
        CU_ASSERT(lost > 1000);
        CU_ASSERT_STRING_EQUAL(store_explain_missing(f.store, 11 + lost / 2), "store");
        store_fixture_run_until_health(&f, "cannot write");
        faulty_vfs_fail_writes(0);
        store_fixture_run_until_health(&f, "ok");

        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 1000);
        store_fixture_read_events(&f, 20000, &result);
        CU_ASSERT_EQUAL(result.n, 10);
        CU_ASSERT_EQUAL(result.numbers[9], 20010);
        store_fixture_close(&f);
        CU_ASSERT_EQUAL((uint64_t) store_fixture_query(&f, "SELECT count(*) FROM events"),
                        20010 - lost);
        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_explain_missing(f.store, 11 + lost / 2), "store");
        store_fixture_deinit(&f);
}

static void test_wait_stuck(void) {
        for (unsigned i = 0; i < 5000 && !faulty_vfs_is_stuck(); i++)
                (void) usleep(1000);
        CU_ASSERT_TRUE_FATAL(faulty_vfs_is_stuck());
}

static void test_hung(void) {
        StoreIncidentFilter filter = FIXTURE_ANY;
        PutResult first = {}, second = {};
        StoreFixture f;
        ReadResult result;

        store_fixture_init(&f);
        store_fixture_open(&f);
        faulty_vfs_hang(true);
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 1, .machine = "vm1" }, &first);
        test_wait_stuck();
        (void) store_fixture_put_event(&f, "vm1");
        store_fixture_run_until_health(&f, "has not answered");
        store_fixture_run_until(&f, &first.done);
        CU_ASSERT_EQUAL(first.r, -ETIMEDOUT);
        (void) store_fixture_put(&f, &(IncidentValues){ .id = 2, .machine = "vm1" }, &second);
        store_fixture_run_until(&f, &second.done);
        CU_ASSERT_EQUAL(second.r, -ETIMEDOUT);

        faulty_vfs_hang(false);
        store_fixture_run_until_health(&f, "ok");
        store_fixture_read_incidents(&f, &filter, &result);
        CU_ASSERT_EQUAL(result.n, 2);
        CU_ASSERT_EQUAL(first.n, 1);
        CU_ASSERT_EQUAL(second.n, 1);
        store_fixture_deinit(&f);
}

/* Opens again when the thread that was left behind has let go of the folder. */
static void test_open_after_hang(StoreFixture *f) {
        int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(flock(fd, LOCK_EX), 0);
        (void) close(fd);
        store_fixture_open(f);
        CU_ASSERT_STRING_EQUAL(store_get_health(f->store), "ok");
}

static void test_close_hung(void) {
        StoreFixture f;

        store_fixture_init(&f);
        store_fixture_open(&f);
        CU_ASSERT_EQUAL(store_next_incident(f.store), 1);
        faulty_vfs_hang(true);
        (void) store_fixture_put_event(&f, "vm1");
        test_wait_stuck();
        f.store = store_close(f.store, USEC_PER_SEC / 10);
        faulty_vfs_hang(false);

        /* An unclean end: numbers go on behind the mark. */
        test_open_after_hang(&f);
        CU_ASSERT(store_next_incident(f.store) > 10000);
        CU_ASSERT_STRING_EQUAL(store_explain_missing(f.store, 2), "unclean-end");
        store_fixture_deinit(&f);
}

static void test_on_record(json_object *record, void *userdata) {
        CU_FAIL("a disk that hangs has told something");
}

static void test_open_hung(void) {
        StoreFixture f;
        ReadResult result;
        PutResult put = {};
        uint64_t id, seq;
        char log[64];

        test_make_database(&f, 10);
        faulty_vfs_hang(true);
        CU_ASSERT_EQUAL(store_open(&f.store, f.event, f.dir, &f.limits, USEC_PER_SEC / 10, NULL, &f),
                        0);
        CU_ASSERT_PTR_NOT_NULL(strstr(store_get_health(f.store), "has not answered"));
        CU_ASSERT_EQUAL(store_load_open_incidents(f.store, test_on_record, NULL), -ETIMEDOUT);
        id = store_next_incident(f.store);
        seq = store_fixture_put_event(&f, "vm1");
        CU_ASSERT(id > LEAP);
        CU_ASSERT(seq > LEAP);
        (void) strcpy(log, store_get_log(f.store));

        faulty_vfs_hang(false);
        store_fixture_run_until_health(&f, "ok");
        (void) store_fixture_put(&f, &(IncidentValues){ .id = id, .machine = "vm1" }, &put);
        store_fixture_run_until(&f, &put.done);
        CU_ASSERT_EQUAL(put.r, 0);
        CU_ASSERT_STRING_EQUAL(store_get_log(f.store), log);
        store_fixture_read_events(&f, LEAP, &result);
        CU_ASSERT_EQUAL(result.n, 1);
        CU_ASSERT_EQUAL(result.numbers[0], seq);
        store_fixture_close(&f);

        store_fixture_open(&f);
        CU_ASSERT_STRING_EQUAL(store_get_log(f.store), log);
        CU_ASSERT_EQUAL(store_next_incident(f.store), id + 1);
        CU_ASSERT_EQUAL(store_next_seq(f.store), seq + 1);
        store_fixture_deinit(&f);
}

/* Numbers that could not be marked are far away from those of the next life. */
static void test_leap(void) {
        StoreFixture f;
        uint64_t id = 0, last;
        unsigned n = 0;

        store_fixture_init(&f);
        store_fixture_open(&f);
        faulty_vfs_hang(true);
        (void) store_fixture_put_event(&f, "vm1");
        test_wait_stuck();
        do {
                last = id;
                id = store_next_incident(f.store);
                n++;
        } while (id == last + 1);
        CU_ASSERT(n > 10000);
        CU_ASSERT(id > LEAP);
        CU_ASSERT_EQUAL(store_next_incident(f.store), id + 1);
        f.store = store_close(f.store, 0);
        faulty_vfs_hang(false);

        test_open_after_hang(&f);
        id = store_next_incident(f.store);
        CU_ASSERT(id > last);
        CU_ASSERT(id < LEAP);
        store_fixture_deinit(&f);
}

static void test_prepare(void) {
        /* Not a test: the disk of all that follow. */
        faulty_vfs_register();
}

TEST_MAIN("store-damage",
          { "prepare", test_prepare },
          { "garbage is set aside", test_garbage },
          { "a file cut short", test_truncated },
          { "a flipped byte of the header", test_header },
          { "damaged rows", test_damaged_rows },
          { "another's database", test_foreign },
          { "three damaged ones are kept", test_rotation },
          { "damage met in use", test_damage_in_use },
          { "the file is removed", test_removed },
          { "no folder: memory", test_memory },
          { "a full disk", test_full },
          { "a file system that is full", test_really_full },
          { "a full queue", test_overflow },
          { "a hung disk", test_hung },
          { "the end with a hung disk", test_close_hung },
          { "a start with a hung disk", test_open_hung },
          { "numbers beyond the mark", test_leap })
