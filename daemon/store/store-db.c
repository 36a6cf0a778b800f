/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is what a commit promises. In WAL mode with synchronous=NORMAL a commit is a
 * write(): it outlives us, not the host. With FULL it ends with an fsync() of the write-ahead log,
 * which holds every earlier commit as well. The setting can't change within a transaction, so
 * store_db_begin() changes it in front of one. A checkpoint syncs the log before it writes to the
 * database and the database before the log is used anew, in either mode, so a power cut
 * loses the newest unsynced commits at most, as a whole. test-store-crash.c cuts the power to see
 * that.
 *
 * mmap stays off: a bad sector is then an error code and not a SIGBUS.
 */
#include "daemon/store/store-db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_DB_MODE 0640
#define STORE_DB_HEADER 100 /* bytes */
/* Page cache in KiB. A batch that changes more pages spills into the write-ahead log. */
#define STORE_DB_CACHE "256"
/* Another program that reads the database may hold a lock for a moment. */
#define STORE_DB_BUSY_MS 100
/* Set aside as damaged or foreign: so many are kept, of each. */
#define STORE_DB_ASIDE_MAX 3
/* After an unclean end a file up to this size is checked as a whole (some 10 ms); in a larger one
 * damage is found when it is met. */
#define STORE_DB_CHECK_BYTES (8 << 20)

/* json-c, JavaScript and SQLite's own integers are exact up to here. */
#define STORE_NUMBER_MAX (UINT64_C(1) << 53)

static int store_db_errno(int rc) {
        switch (rc & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_CONSTRAINT:
        case SQLITE_TOOBIG:
        case SQLITE_MISMATCH:
        case SQLITE_RANGE:
                return -EINVAL;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
                return -EACCES;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_NOMEM:
                return -ENOMEM;
        default:
                return rc == SQLITE_IOERR_CORRUPTFS ? -EUCLEAN : -EIO;
        }
}

/* Keeps the words: the next statement on the connection, a ROLLBACK at the latest, forgets them. */
static int store_db_fail(StoreDb *db, int rc) {
        int r = store_db_errno(rc);

        if (r < 0)
                (void) snprintf(db->error, sizeof(db->error), "%s", sqlite3_errmsg(db->handle));
        return r;
}

const char *store_db_get_error(const StoreDb *db) {
        return db->error;
}

static int store_db_bind_list(StoreDb *db,
                              StoreSql sql,
                              sqlite3_stmt **ret,
                              const char *types,
                              va_list ap) {
        sqlite3_stmt *statement = db->statements[sql];
        int rc = SQLITE_OK;

        if (!statement) {
                rc = sqlite3_prepare_v3(db->handle,
                                        store_schema_get_sql(sql),
                                        -1,
                                        SQLITE_PREPARE_PERSISTENT,
                                        &statement,
                                        NULL);
                if (rc != SQLITE_OK)
                        return store_db_fail(db, rc);
                db->statements[sql] = statement;
        }

        for (int i = 1; *types != '\0' && rc == SQLITE_OK; types++, i++)
                if (*types == 'u') {
                        rc = sqlite3_bind_int64(statement, i, (int64_t) va_arg(ap, uint64_t));
                } else if (*types == 'i') {
                        rc = sqlite3_bind_int64(statement, i, va_arg(ap, int64_t));
                } else {
                        const char *s = va_arg(ap, const char *);
                        int n = *types == 't' ? (int) va_arg(ap, size_t) : -1;

                        rc = sqlite3_bind_text(statement, i, s, n, SQLITE_STATIC);
                }
        if (rc != SQLITE_OK)
                return store_db_fail(db, rc);
        *ret = statement;
        return 0;
}

int store_db_bind(StoreDb *db, StoreSql sql, sqlite3_stmt **ret, const char *types, ...) {
        va_list ap;
        int r;

        va_start(ap, types);
        r = store_db_bind_list(db, sql, ret, types, ap);
        va_end(ap);
        return r;
}

int store_db_step(StoreDb *db, sqlite3_stmt *statement) {
        int rc = sqlite3_step(statement);

        if (rc == SQLITE_ROW)
                return 1;
        return store_db_fail(db, rc);
}

static int store_db_step_all(StoreDb *db, sqlite3_stmt *statement, uint64_t *ret) {
        uint64_t value = 0;
        int r;

        r = store_db_step(db, statement);
        if (r > 0)
                value = (uint64_t) sqlite3_column_int64(statement, 0);
        while (r > 0)
                r = store_db_step(db, statement);
        /* Text that was bound is gone when the caller returns. */
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r == 0 && ret)
                *ret = value;
        return r;
}

int store_db_run(StoreDb *db, StoreSql sql, const char *types, ...) {
        sqlite3_stmt *statement;
        va_list ap;
        int r;

        va_start(ap, types);
        r = store_db_bind_list(db, sql, &statement, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return store_db_step_all(db, statement, NULL);
}

int store_db_get(StoreDb *db, StoreSql sql, uint64_t *ret, const char *types, ...) {
        sqlite3_stmt *statement;
        va_list ap;
        int r;

        va_start(ap, types);
        r = store_db_bind_list(db, sql, &statement, types, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return store_db_step_all(db, statement, ret);
}

uint64_t store_db_count_changes(StoreDb *db) {
        return (uint64_t) sqlite3_changes(db->handle);
}

int store_db_begin(StoreDb *db, bool sync) {
        int r;

        if (sync != db->full_sync) {
                r = store_db_run(db, sync ? STORE_SQL_SYNC_FULL : STORE_SQL_SYNC_NORMAL, "");
                if (r < 0)
                        return r;
                db->full_sync = sync;
        }
        return store_db_run(db, STORE_SQL_BEGIN, "");
}

int store_db_commit(StoreDb *db) {
        return store_db_run(db, STORE_SQL_COMMIT, "");
}

void store_db_rollback(StoreDb *db) {
        char error[sizeof(db->error)];

        /* Some errors have rolled back already. */
        if (sqlite3_get_autocommit(db->handle))
                return;
        memcpy(error, db->error, sizeof(error));
        (void) store_db_run(db, STORE_SQL_ROLLBACK, "");
        memcpy(db->error, error, sizeof(error));
}

static int store_db_on_commit(void *userdata, sqlite3 *handle, const char *name, int pages) {
        StoreDb *db = userdata;

        db->wal_pages = pages;
        return SQLITE_OK;
}

int store_db_vacuum(StoreDb *db, unsigned n) {
        char sql[64];

        (void) snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%u)", n);
        return store_db_fail(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int store_db_limit_wal(StoreDb *db, uint64_t bytes) {
        char sql[64];

        (void) snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit=%" PRIu64, bytes);
        return store_db_fail(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int store_db_checkpoint(StoreDb *db) {
        int rc, pages, done;

        rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
        if (rc == SQLITE_OK && done < pages)
                rc = SQLITE_BUSY;
        if ((rc & 0xff) == SQLITE_BUSY)
                (void) snprintf(db->error,
                                sizeof(db->error),
                                "another program keeps reading the database");
        return (rc & 0xff) == SQLITE_BUSY ? -EBUSY : store_db_fail(db, rc);
}

bool store_db_has_moved(StoreDb *db) {
        int moved = 0;

        if (!db->path)
                return false;
        (void) sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_HAS_MOVED, &moved);
        return moved != 0;
}

static int store_db_get_meta_number(StoreDb *db, const char *key, uint64_t *ret) {
        uint64_t value;
        int r;

        r = store_db_get(db, STORE_SQL_META_GET, &value, "s", key);
        if (r < 0)
                return r;
        if (value > STORE_NUMBER_MAX)
                return -EUCLEAN;
        *ret = value;
        return 0;
}

static int store_db_get_mark(StoreDb *db, StoreMark *mark) {
        _cleanup_(store_db_resetp) sqlite3_stmt *statement = NULL;
        const char *log = NULL;
        uint64_t clean;
        int r;

        r = store_db_bind(db, STORE_SQL_META_GET, &statement, "s", "log");
        if (r < 0)
                return r;
        r = store_db_step(db, statement);
        if (r < 0)
                return r;
        if (r > 0)
                log = (const char *) sqlite3_column_text(statement, 0);
        /* A new database, or one whose maker died before it was opened for the first time. */
        if (!log)
                return 0;
        (void) snprintf(mark->log, sizeof(mark->log), "%s", log);
        (void) sqlite3_reset(TAKE_PTR(statement));

        r = store_db_get_meta_number(db, "clean", &clean);
        if (r == 0)
                r = store_db_get_meta_number(db, "next-seq", &mark->next_seq);
        if (r == 0)
                r = store_db_get_meta_number(db, "next-incident", &mark->next_incident);
        if (r == 0)
                r = store_db_get_meta_number(db, "first-seq", &mark->first_seq);
        if (r < 0)
                return r;
        mark->clean = clean != 0;
        mark->known = mark->next_seq > 0 && mark->next_incident > 0;
        return mark->known ? 0 : -EUCLEAN;
}

int store_db_put_mark(StoreDb *db, const StoreMark *mark) {
        int r;

        r = store_db_run(db, STORE_SQL_META_PUT, "ss", "log", mark->log);
        if (r == 0)
                r = store_db_run(db, STORE_SQL_META_PUT, "su", "clean", (uint64_t) mark->clean);
        if (r == 0)
                r = store_db_run(db, STORE_SQL_META_PUT, "su", "next-seq", mark->next_seq);
        if (r == 0)
                r = store_db_run(db, STORE_SQL_META_PUT, "su", "next-incident", mark->next_incident);
        if (r == 0)
                r = store_db_run(db, STORE_SQL_META_PUT, "su", "first-seq", mark->first_seq);
        return r;
}

int store_db_put_totals(StoreDb *db) {
        int r;

        r = store_db_run(db, STORE_SQL_META_PUT, "su", "events", db->n_events);
        if (r == 0)
                r = store_db_run(db, STORE_SQL_META_PUT, "su", "incidents", db->n_incidents);
        return r;
}

/* Damage that SQLite would not meet by itself until much later. */
static int store_db_check(StoreDb *db) {
        sqlite3_stmt *statement;
        struct stat st;
        bool good;
        int rc;

        if (!db->path || stat(db->path, &st) < 0 || st.st_size > STORE_DB_CHECK_BYTES)
                return 0;
        rc = sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &statement, NULL);
        if (rc != SQLITE_OK)
                return store_db_fail(db, rc);
        rc = sqlite3_step(statement);
        good = rc == SQLITE_ROW &&
               sqlite3_stricmp((const char *) sqlite3_column_text(statement, 0), "ok") == 0;
        if (rc == SQLITE_ROW && !good)
                (void) snprintf(db->error,
                                sizeof(db->error),
                                "%s",
                                (const char *) sqlite3_column_text(statement, 0));
        (void) sqlite3_finalize(statement);
        if (rc == SQLITE_ROW)
                return good ? 0 : -EUCLEAN;
        return store_db_fail(db, rc);
}

/* SQLite would make it as the umask says; the other files take over its mode. A file without
 * a header, cut short by a crash of the host, is an empty database to SQLite; to us it has lost
 * its mark. */
static int store_db_make_file(const char *path) {
        struct stat st;
        int fd, r = 0;

        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, STORE_DB_MODE);
        if (fd < 0 && errno == EEXIST) {
                fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
                if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size < STORE_DB_HEADER))
                        r = -EUCLEAN;
        }
        if (fd < 0)
                return -errno;
        (void) fchmod(fd, STORE_DB_MODE);
        (void) close(fd);
        return r;
}

static int store_db_connect(StoreDb *db) {
        static const char pragmas[] = "PRAGMA cache_size=-" STORE_DB_CACHE ";"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA mmap_size=0;"
                                      "PRAGMA secure_delete=OFF;"
                                      "PRAGMA trusted_schema=OFF;";
        int rc, r;

        if (db->path) {
                r = store_db_make_file(db->path);
                if (r < 0) {
                        (void) snprintf(db->error, sizeof(db->error), "%s", strerror(-r));
                        return r;
                }
        }
        /* No mutex: the connection belongs to one thread. */
        rc = sqlite3_open_v2(db->path ? db->path : ":memory:",
                             &db->handle,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                             NULL);
        if (!db->handle)
                return -ENOMEM;
        if (rc != SQLITE_OK)
                return store_db_fail(db, rc);
        (void) sqlite3_extended_result_codes(db->handle, 1);
        (void) sqlite3_busy_timeout(db->handle, STORE_DB_BUSY_MS);
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 64);
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        return store_db_fail(db, sqlite3_exec(db->handle, pragmas, NULL, NULL, NULL));
}

static int store_db_get_pragma(StoreDb *db, const char *sql, int *ret) {
        sqlite3_stmt *statement;
        int rc;

        rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
        if (rc != SQLITE_OK)
                return store_db_fail(db, rc);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
                *ret = sqlite3_column_int(statement, 0);
        rc = sqlite3_finalize(statement);
        return store_db_fail(db, rc);
}

/* Whose is it? Nothing has been written to it so far. The numbers of one that is of no use
 * are worth having all the same, where they can be read. */
static int store_db_identify(StoreDb *db, StoreMark *mark) {
        int version = 0, application = 0, tables = 0, r;

        r = store_db_get_pragma(db, "PRAGMA user_version", &version);
        if (r == 0)
                r = store_db_get_pragma(db, "PRAGMA application_id", &application);
        if (r == 0)
                r = store_db_get_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return r;
        if (tables > 0 && application != STORE_APPLICATION_ID) {
                (void) snprintf(db->error, sizeof(db->error), "it is not tocsin's");
                return STORE_DB_E_FOREIGN;
        }
        if (version < 0 || (size_t) version > store_schema_version) {
                (void) store_db_get_mark(db, mark);
                (void) snprintf(db->error,
                                sizeof(db->error),
                                "it is of version %d, and this tocsin knows up to %zu",
                                version,
                                store_schema_version);
                return STORE_DB_E_FOREIGN;
        }
        return 0;
}

static int store_db_load(StoreDb *db, StoreMark *mark) {
        int r;

        r = store_db_identify(db, mark);
        if (r != 0)
                return r;
        /* The order matters: auto_vacuum can be chosen only before there is anything in the file. */
        r = store_db_fail(db,
                          sqlite3_exec(db->handle,
                                       "PRAGMA auto_vacuum=INCREMENTAL;"
                                       "PRAGMA journal_mode=WAL;",
                                       NULL,
                                       NULL,
                                       NULL));
        if (r < 0)
                return r;
        (void) sqlite3_wal_hook(db->handle, store_db_on_commit, db);

        r = store_db_fail(db,
                          store_schema_upgrade(db->handle, store_schema_steps, store_schema_version));
        if (r == 0)
                r = store_db_get_mark(db, mark);
        if (r == 0 && mark->known && !mark->clean)
                r = store_db_check(db);
        if (r == 0)
                r = store_db_get_meta_number(db, "events", &db->n_events);
        if (r == 0)
                r = store_db_get_meta_number(db, "incidents", &db->n_incidents);
        if (r == 0)
                r = store_db_get(db, STORE_SQL_EVENTS_FIRST, &db->first_event, "");
        if (r == 0)
                r = store_db_get(db, STORE_SQL_EVENTS_LAST, &db->last_event, "");
        return r;
}

StoreDb *store_db_free(StoreDb *db) {
        if (!db)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(db->statements); i++)
                (void) sqlite3_finalize(db->statements[i]);
        (void) sqlite3_close(db->handle);
        free(db->path);
        free(db);
        return NULL;
}

StoreDb *store_db_close(StoreDb *db) {
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
        return store_db_free(db);
}

int store_db_open(StoreDb **ret, const char *path, StoreMark *mark, char *error, size_t n_error) {
        _cleanup_(store_db_freep) StoreDb *db = NULL;
        int r;

        db = calloc(1, sizeof(*db));
        if (!db)
                return -ENOMEM;
        db->full_sync = true; /* SQLite's default */
        if (path) {
                db->path = strdup(path);
                if (!db->path)
                        return -ENOMEM;
        }
        r = store_db_connect(db);
        if (r == 0)
                r = store_db_load(db, mark);
        if (r != 0) {
                (void) snprintf(error, n_error, "%s", db->error);
                return r;
        }
        *ret = TAKE_PTR(db);
        return 0;
}

static int store_db_rename(const char *from, const char *to) {
        if (rename(from, to) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

void store_db_remove_log(const char *path) {
        char log[PATH_MAX];

        (void) snprintf(log, sizeof(log), "%s-wal", path);
        (void) unlink(log);
        (void) snprintf(log, sizeof(log), "%s-shm", path);
        (void) unlink(log);
}

int store_db_set_aside(const char *path, const char *label) {
        /* The write-ahead log goes first: a database without its log is a damaged one, a log
         * without its database would be played into the next. */
        static const char *const suffixes[] = { "-wal", "" };
        char from[PATH_MAX], to[PATH_MAX];
        int r;

        for (unsigned n = STORE_DB_ASIDE_MAX; n > 0; n--)
                for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                        if (n > 1)
                                (void) snprintf(from,
                                                sizeof(from),
                                                "%s.%s-%u%s",
                                                path,
                                                label,
                                                n - 1,
                                                suffixes[i]);
                        else
                                (void) snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
                        (void) snprintf(to, sizeof(to), "%s.%s-%u%s", path, label, n, suffixes[i]);
                        (void) unlink(to);
                        r = store_db_rename(from, to);
                        if (r < 0)
                                return r;
                }
        store_db_remove_log(path);
        return 0;
}
