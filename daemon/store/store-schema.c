/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schema and its upgrade rule.
 *
 * PRAGMA user_version is the number of steps a database has gone through. To change the schema,
 * append a step; a step that was ever released is never edited, so that a new database and an
 * upgraded one are the same. All missing steps run in one transaction: a crash leaves the old
 * version. A database from a newer tocsin is set aside by store-db.c, untouched.
 *
 * Incidents are found by scanning incidents_scan newest first: it holds everything the filters
 * name, so records are read for the matches only, and any mix of filters costs one pass over some
 * 80 bytes an incident. Words, not numbers, stand for kinds, states and causes: the file outlives
 * our enums and is read with other tools. Records from before step 2 have no signature, and are in
 * no group.
 */
#include "daemon/store/store-schema.h"

#include <stdio.h>

#define SCHEMA_1                                                                                   \
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"                            \
        "CREATE TABLE incidents("                                                                  \
        " id INTEGER PRIMARY KEY, machine TEXT NOT NULL, kind TEXT NOT NULL,"                      \
        " status TEXT NOT NULL, opened_us INTEGER NOT NULL, record TEXT NOT NULL);"                \
        "CREATE INDEX incidents_scan ON incidents(id, machine, kind, status, opened_us);"          \
        "CREATE INDEX incidents_status ON incidents(status, opened_us);"                           \
        "CREATE INDEX incidents_machine ON incidents(machine, status);"                            \
        "CREATE TABLE events("                                                                     \
        " seq INTEGER PRIMARY KEY, machine TEXT NOT NULL, name TEXT NOT NULL,"                     \
        " real_us INTEGER NOT NULL, text TEXT NOT NULL);"                                          \
        "CREATE INDEX events_machine ON events(machine);"                                          \
        "CREATE TABLE machines("                                                                   \
        " machine TEXT PRIMARY KEY, run TEXT NOT NULL, changed_us INTEGER NOT NULL, info TEXT"     \
        ") WITHOUT ROWID;"                                                                         \
        "CREATE INDEX machines_changed ON machines(changed_us);"                                   \
        "CREATE TABLE holes("                                                                      \
        " first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL);"

/* Which crashes are the same */
#define SCHEMA_2                                                                                   \
        "ALTER TABLE incidents ADD COLUMN signature TEXT;"                                         \
        "ALTER TABLE incidents ADD COLUMN cause TEXT;"                                             \
        "DROP INDEX incidents_scan;"                                                               \
        "CREATE INDEX incidents_scan"                                                              \
        " ON incidents(id, machine, kind, status, opened_us, signature, cause);"                   \
        "CREATE INDEX incidents_signature ON incidents(signature, machine, kind, opened_us);"

/* Text sorts before blobs: without a signature every one is between. */
#define SCHEMA_CRASHES                                                                             \
        " FROM incidents INDEXED BY incidents_signature"                                           \
        " WHERE signature BETWEEN ifnull(?1, '') AND ifnull(?1, x'')"                              \
        " AND (?2 IS NULL OR machine GLOB ?2) AND (?3 IS NULL OR kind = ?3)"                       \
        " AND opened_us >= ?4 AND opened_us < ?5"

const char *const store_schema_steps[] = { SCHEMA_1, SCHEMA_2 };
const size_t store_schema_version = sizeof(store_schema_steps) / sizeof(store_schema_steps[0]);

static const char *const sql_text[_STORE_SQL_MAX] = {
        [STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
        [STORE_SQL_COMMIT] = "COMMIT",
        [STORE_SQL_ROLLBACK] = "ROLLBACK",
        [STORE_SQL_SYNC_FULL] = "PRAGMA synchronous=FULL",
        [STORE_SQL_SYNC_NORMAL] = "PRAGMA synchronous=NORMAL",
        [STORE_SQL_PAGES] = "PRAGMA page_count",
        [STORE_SQL_FREE_PAGES] = "PRAGMA freelist_count",
        [STORE_SQL_META_GET] = "SELECT value FROM meta WHERE key = ?1",
        [STORE_SQL_META_PUT] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",

        [STORE_SQL_EVENT_PUT] = "INSERT INTO events VALUES(?1, ?2, ?3, ?4, ?5)",
        [STORE_SQL_EVENTS_READ] = "SELECT seq, text FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        [STORE_SQL_EVENTS_FIRST] = "SELECT min(seq) FROM events",
        [STORE_SQL_EVENTS_LAST] = "SELECT max(seq) FROM events",
        [STORE_SQL_EVENTS_OLDEST_TIME] = "SELECT real_us FROM events ORDER BY seq LIMIT 1",
        [STORE_SQL_EVENTS_COUNT] = "SELECT count(*) FROM events",
        [STORE_SQL_EVENTS_OF_MACHINE] = "SELECT count(*) FROM events WHERE machine = ?1",
        [STORE_SQL_EVENTS_DROP] = "DELETE FROM events WHERE seq IN"
                                  " (SELECT seq FROM events ORDER BY seq LIMIT ?1)",
        [STORE_SQL_EVENTS_DROP_AGED] = "DELETE FROM events WHERE real_us < ?2 AND seq IN"
                                       " (SELECT seq FROM events ORDER BY seq LIMIT ?1)",
        [STORE_SQL_EVENTS_DROP_MACHINE] =
                "DELETE FROM events WHERE seq IN"
                " (SELECT seq FROM events WHERE machine = ?2 ORDER BY seq LIMIT ?1)",

        [STORE_SQL_INCIDENT_UPDATE] = "UPDATE incidents SET machine = ?2, kind = ?3, status = ?4,"
                                      " opened_us = ?5, record = ?6, signature = ?7, cause = ?8"
                                      " WHERE id = ?1",
        [STORE_SQL_INCIDENT_INSERT] = "INSERT INTO incidents VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        [STORE_SQL_INCIDENTS_READ] =
                "SELECT s.id, (SELECT record FROM incidents WHERE id = s.id)"
                " FROM incidents AS s INDEXED BY incidents_scan"
                " WHERE s.id > ?1 AND s.id < ?2 AND (?3 IS NULL OR s.machine GLOB ?3)"
                " AND (?4 IS NULL OR s.kind = ?4) AND (?5 IS NULL OR s.status = ?5)"
                " AND s.opened_us >= ?6 AND s.opened_us < ?7"
                " AND (?8 IS NULL OR s.signature = ?8) AND (?9 IS NULL OR s.cause = ?9)"
                " ORDER BY s.id DESC LIMIT ?10",
        [STORE_SQL_CRASHES_READ] =
                "SELECT g.signature, g.n, g.first, g.last, g.id, g.machines, i.kind,"
                " CASE WHEN json_valid(i.record) THEN json_extract(i.record, '$.headline') END"
                " FROM (SELECT signature, count(*) AS n, min(opened_us) AS first,"
                " max(opened_us) AS last, max(id) AS id, count(DISTINCT machine) AS machines" SCHEMA_CRASHES
                " GROUP BY signature ORDER BY n DESC, signature LIMIT ?6) AS g"
                " JOIN incidents AS i ON i.id = g.id ORDER BY g.n DESC, g.signature",
        [STORE_SQL_CRASH_MACHINES_READ] = "SELECT machine, count(*) AS n" SCHEMA_CRASHES
                                          " GROUP BY machine ORDER BY n DESC, machine LIMIT ?6",
        [STORE_SQL_INCIDENTS_OPEN] =
                "SELECT id, record FROM incidents WHERE status IN ('open', 'held', 'acting')"
                " AND id > ?1 ORDER BY id LIMIT ?2",
        [STORE_SQL_INCIDENTS_RECENT] =
                "SELECT id, record, opened_us FROM incidents WHERE status = 'closed'"
                " AND (opened_us, id) > (?1, ?2) ORDER BY opened_us, id LIMIT ?3",
        [STORE_SQL_INCIDENTS_COUNT] = "SELECT count(*) FROM incidents",
        [STORE_SQL_INCIDENTS_OF_MACHINE] = "SELECT count(*) FROM incidents WHERE machine = ?1",
        [STORE_SQL_INCIDENTS_DROP_CLOSED] =
                "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents"
                " WHERE status = 'closed' ORDER BY opened_us, id LIMIT ?1)",
        [STORE_SQL_INCIDENTS_DROP_ANY] = "DELETE FROM incidents WHERE id IN"
                                         " (SELECT id FROM incidents ORDER BY id LIMIT ?1)",
        [STORE_SQL_INCIDENTS_DROP_AGED] =
                "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents"
                " WHERE status = 'closed' AND opened_us < ?2 ORDER BY opened_us, id LIMIT ?1)",
        [STORE_SQL_INCIDENTS_DROP_MACHINE_CLOSED] =
                "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents"
                " WHERE machine = ?2 AND status = 'closed' ORDER BY id LIMIT ?1)",
        [STORE_SQL_INCIDENTS_DROP_MACHINE_ANY] =
                "DELETE FROM incidents WHERE id IN"
                " (SELECT id FROM incidents WHERE machine = ?2 ORDER BY id LIMIT ?1)",

        [STORE_SQL_MACHINE_PUT] = "INSERT OR REPLACE INTO machines VALUES(?1, ?2, ?3, ?4)",
        [STORE_SQL_MACHINES_READ] = "SELECT machine, run, info FROM machines"
                                    " WHERE machine > ?1 ORDER BY machine LIMIT ?2",
        [STORE_SQL_MACHINES_DROP] = "DELETE FROM machines WHERE machine IN (SELECT machine"
                                    " FROM machines ORDER BY changed_us DESC LIMIT -1 OFFSET ?1)",
        [STORE_SQL_HOLE_PUT] = "INSERT OR REPLACE INTO holes VALUES(?1, ?2, ?3)",
        [STORE_SQL_HOLES_READ] = "SELECT first, last, reason FROM holes ORDER BY first",
        [STORE_SQL_HOLES_DROP_ALL] = "DELETE FROM holes",
};

const char *store_schema_get_sql(StoreSql sql) {
        return sql_text[sql];
}

static int store_schema_get_version(sqlite3 *db, size_t *ret) {
        sqlite3_stmt *statement;
        size_t version;
        int rc;

        rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
        if (rc != SQLITE_OK)
                return rc;
        rc = sqlite3_step(statement);
        version = (size_t) sqlite3_column_int(statement, 0);
        (void) sqlite3_finalize(statement);
        if (rc != SQLITE_ROW)
                return rc;
        *ret = version;
        return SQLITE_OK;
}

int store_schema_upgrade(sqlite3 *db, const char *const *steps, size_t version) {
        char pragma[64];
        size_t have = 0;
        int rc;

        rc = store_schema_get_version(db, &have);
        if (rc != SQLITE_OK || have == version)
                return rc;

        rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        for (size_t v = have; rc == SQLITE_OK && v < version; v++)
                rc = sqlite3_exec(db, steps[v], NULL, NULL, NULL);
        (void) snprintf(pragma,
                        sizeof(pragma),
                        "PRAGMA application_id=%d; PRAGMA user_version=%zu",
                        STORE_APPLICATION_ID,
                        version);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
                (void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
}
