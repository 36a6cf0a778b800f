/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The database as the writer thread sees it: one connection, on disk or in memory. Everything here
 * may wait for the disk, so nothing of it is called from the loop.
 *
 * Errors are negative: what SQLite said as an errno, its words in store_db_get_error().
 * -EUCLEAN: the file is damaged. -EINVAL: this one row is refused. Else: another try may help.
 */
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store-schema.h"
#include "policy/util/cleanup.h"

typedef struct StoreDb StoreDb;

/* From store_db_open(): there is a database that is not ours to write, from a newer tocsin or from
 * another program. */
#define STORE_DB_E_FOREIGN 1

#define STORE_DB_PAGE 4096
#define STORE_ERROR_SIZE 160
#define STORE_LOG_SIZE 37 /* of a UUID as text */

/* What the disk knows of numbers: those below next_* may have been used. */
typedef struct StoreMark {
        bool known; /* there was a database, and this could be read from it */
        bool clean; /* it was closed in order: none at or above next_* was given */
        char log[STORE_LOG_SIZE];
        uint64_t next_seq, next_incident;
        uint64_t first_seq; /* the first number given in that life of tocsind */
} StoreMark;

struct StoreDb {
        sqlite3 *handle;
        sqlite3_stmt *statements[_STORE_SQL_MAX];
        char *path; /* NULL: in memory */
        bool full_sync;
        int wal_pages; /* in the write-ahead log after the last commit */
        uint64_t n_events, n_incidents;
        uint64_t first_event; /* smallest number in the log; 0: none */
        uint64_t last_event;  /* largest number written; 0: none known */
        char error[STORE_ERROR_SIZE];
};

/* Opens `path`, making or upgrading it; NULL: in memory. *mark is filled as far as could be read,
 * even if it fails; `error` then gets words. 0, STORE_DB_E_FOREIGN or negative. */
int store_db_open(StoreDb **ret, const char *path, StoreMark *mark, char *error, size_t n_error);
/* Leaves the files as they are. */
StoreDb *store_db_free(StoreDb *db);
DEFINE_CLEANUP(StoreDb *, store_db_free);
/* Works the write-ahead log in and removes it. */
StoreDb *store_db_close(StoreDb *db);

/* Renames the database and what belongs to it to PATH.LABEL-1; the last three are kept. */
int store_db_set_aside(const char *path, const char *label);
/* Removes the write-ahead log beside `path`. */
void store_db_remove_log(const char *path);
/* Has the file been removed or replaced under us? SQLite would go on writing to nowhere. */
bool store_db_has_moved(StoreDb *db);

/* One at a time. `sync`: the commit returns when the disk has it; this holds for everything
 * committed earlier, too. */
int store_db_begin(StoreDb *db, bool sync);
int store_db_commit(StoreDb *db);
void store_db_rollback(StoreDb *db);
/* Gives up to n free pages back to the file system; within a transaction. */
int store_db_vacuum(StoreDb *db, unsigned n);
/* Once worked in, the write-ahead log is cut to this size. */
int store_db_limit_wal(StoreDb *db, uint64_t bytes);
/* Works the write-ahead log in; -EBUSY when other readers keep it from being emptied. */
int store_db_checkpoint(StoreDb *db);

/* Binds, in order: u uint64_t, i int64_t, s const char * (may be NULL), t const char * and size_t.
 * Text is borrowed until the statement is run or reset. */
int store_db_bind(StoreDb *db, StoreSql sql, sqlite3_stmt **ret, const char *types, ...);
/* 1: there is a row; 0: the end; negative */
int store_db_step(StoreDb *db, sqlite3_stmt *statement);
/* Binds and runs to the end. */
int store_db_run(StoreDb *db, StoreSql sql, const char *types, ...);
/* As store_db_run(), for one that gives a number; *ret is 0 when there is no row. */
int store_db_get(StoreDb *db, StoreSql sql, uint64_t *ret, const char *types, ...);
/* Rows the last statement changed. */
uint64_t store_db_count_changes(StoreDb *db);
const char *store_db_get_error(const StoreDb *db);

static inline void store_db_resetp(sqlite3_stmt **statement) {
        if (*statement)
                (void) sqlite3_reset(*statement);
}

/* The keys of table meta. */
int store_db_put_mark(StoreDb *db, const StoreMark *mark);
int store_db_put_totals(StoreDb *db);
