/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the database looks like, how an older one becomes the present one, and every statement that
 * runs on it.
 */
#include <sqlite3.h>
#include <stddef.h>

/* "tocs", in the header of the file: tells our database from anybody else's. */
#define STORE_APPLICATION_ID 0x746f6373

/* Statements, each prepared once and kept; parameters are numbered as in the text. */
typedef enum StoreSql {
        STORE_SQL_BEGIN,
        STORE_SQL_COMMIT,
        STORE_SQL_ROLLBACK,
        STORE_SQL_SYNC_FULL,
        STORE_SQL_SYNC_NORMAL,
        STORE_SQL_PAGES,
        STORE_SQL_FREE_PAGES,
        STORE_SQL_META_GET,
        STORE_SQL_META_PUT,
        STORE_SQL_EVENT_PUT,
        STORE_SQL_EVENTS_READ,
        STORE_SQL_EVENTS_FIRST,
        STORE_SQL_EVENTS_LAST,
        STORE_SQL_EVENTS_OLDEST_TIME,
        STORE_SQL_EVENTS_COUNT,
        STORE_SQL_EVENTS_OF_MACHINE,
        STORE_SQL_EVENTS_DROP,
        STORE_SQL_EVENTS_DROP_AGED,
        STORE_SQL_EVENTS_DROP_MACHINE,
        STORE_SQL_INCIDENT_UPDATE,
        STORE_SQL_INCIDENT_INSERT,
        STORE_SQL_INCIDENTS_READ,
        STORE_SQL_CRASHES_READ,
        STORE_SQL_CRASH_MACHINES_READ,
        STORE_SQL_INCIDENTS_OPEN,
        STORE_SQL_INCIDENTS_RECENT,
        STORE_SQL_INCIDENTS_COUNT,
        STORE_SQL_INCIDENTS_OF_MACHINE,
        STORE_SQL_INCIDENTS_DROP_CLOSED,
        STORE_SQL_INCIDENTS_DROP_ANY,
        STORE_SQL_INCIDENTS_DROP_AGED,
        STORE_SQL_INCIDENTS_DROP_MACHINE_CLOSED,
        STORE_SQL_INCIDENTS_DROP_MACHINE_ANY,
        STORE_SQL_MACHINE_PUT,
        STORE_SQL_MACHINES_READ,
        STORE_SQL_MACHINES_DROP,
        STORE_SQL_HOLE_PUT,
        STORE_SQL_HOLES_READ,
        STORE_SQL_HOLES_DROP_ALL,
        _STORE_SQL_MAX,
} StoreSql;

const char *store_schema_get_sql(StoreSql sql);

/* steps[v] brings a database of version v to v + 1; version 0 is an empty one. */
extern const char *const store_schema_steps[];
extern const size_t store_schema_version;

/* Runs the steps from the database's own version on, all of them or none. Returns an SQLite code;
 * the version must not be above `version`. */
int store_schema_upgrade(sqlite3 *db, const char *const *steps, size_t version);
