/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The upgrade rule, and that statements find their indexes. */
#include <stdio.h>
#include <string.h>

#include "daemon/store/store-schema.h"
#include "tests/unit/harness.h"

/* What a later tocsin may bring. */
#define STEP_2 "ALTER TABLE machines ADD COLUMN boot TEXT; CREATE INDEX later ON machines(boot);"
#define STEP_3 "UPDATE machines SET boot = 'b-' || run;"
#define STEP_BAD "CREATE TABLE fine(x); INSERT INTO no_such_table VALUES(1);"

static sqlite3 *test_open(void) {
        sqlite3 *db = NULL;

        CU_ASSERT_EQUAL_FATAL(sqlite3_open(":memory:", &db), SQLITE_OK);
        return db;
}

static void test_query(sqlite3 *db, const char *sql, char *ret, size_t n) {
        sqlite3_stmt *statement;

        *ret = '\0';
        CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
        if (sqlite3_step(statement) == SQLITE_ROW)
                (void) snprintf(ret, n, "%s", (const char *) sqlite3_column_text(statement, 0));
        (void) sqlite3_finalize(statement);
}

static void test_check(sqlite3 *db, const char *sql, const char *expected) {
        char value[256];

        test_query(db, sql, value, sizeof(value));
        CU_ASSERT_STRING_EQUAL(value, expected);
}

static void test_upgrade(void) {
        const char *steps[] = { store_schema_steps[0], STEP_2, STEP_3 };
        sqlite3 *db = test_open();

        /* version 0, an empty file, becomes version 1 */
        CU_ASSERT_EQUAL(store_schema_upgrade(db, steps, 1), SQLITE_OK);
        test_check(db, "PRAGMA user_version", "1");
        CU_ASSERT_EQUAL(
                sqlite3_exec(db, "INSERT INTO machines VALUES('vm1', 'r1', 5, NULL)", NULL, NULL, NULL),
                SQLITE_OK);
        /* the same version again: nothing to do */
        CU_ASSERT_EQUAL(store_schema_upgrade(db, steps, 1), SQLITE_OK);

        CU_ASSERT_EQUAL(store_schema_upgrade(db, steps, 3), SQLITE_OK);
        test_check(db, "PRAGMA user_version", "3");
        test_check(db, "SELECT boot FROM machines WHERE machine = 'vm1'", "b-r1");
        test_check(db, "PRAGMA application_id", "1953457011");
        (void) sqlite3_close(db);
}

/* What was kept before there were signatures stays, and is found. */
static void test_upgrade_to_2(void) {
        sqlite3 *db = test_open();

        CU_ASSERT_EQUAL(store_schema_upgrade(db, store_schema_steps, 1), SQLITE_OK);
        CU_ASSERT_EQUAL(sqlite3_exec(db,
                                     "INSERT INTO incidents"
                                     " VALUES(7, 'vm1', 'panic', 'closed', 5, '{\"id\": 7}')",
                                     NULL,
                                     NULL,
                                     NULL),
                        SQLITE_OK);
        CU_ASSERT_EQUAL(store_schema_upgrade(db, store_schema_steps, store_schema_version),
                        SQLITE_OK);
        test_check(db, "PRAGMA user_version", "2");
        test_check(db,
                   "SELECT machine || record || ifnull(signature, '-') FROM incidents"
                   " INDEXED BY incidents_scan WHERE id > 0",
                   "vm1{\"id\": 7}-");
        test_check(db, "SELECT count(*) FROM incidents WHERE signature BETWEEN '' AND x''", "0");
        (void) sqlite3_close(db);
}

static void test_upgrade_fails(void) {
        const char *steps[] = { store_schema_steps[0], STEP_2, STEP_BAD };
        sqlite3 *db = test_open();

        CU_ASSERT_EQUAL(store_schema_upgrade(db, steps, 1), SQLITE_OK);
        CU_ASSERT_NOT_EQUAL(store_schema_upgrade(db, steps, 3), SQLITE_OK);
        /* all or nothing: not even the good step */
        test_check(db, "PRAGMA user_version", "1");
        test_check(db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('later', 'fine')", "0");
        CU_ASSERT_EQUAL(store_schema_upgrade(db, steps, 2), SQLITE_OK);
        test_check(db, "PRAGMA user_version", "2");
        (void) sqlite3_close(db);
}

/* How SQLite goes about a statement. */
static void test_explain(sqlite3 *db, StoreSql sql, char *plan, size_t n) {
        sqlite3_stmt *statement;
        char explain[1024];

        (void) snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", store_schema_get_sql(sql));
        CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(db, explain, -1, &statement, NULL), SQLITE_OK);
        *plan = '\0';
        while (sqlite3_step(statement) == SQLITE_ROW) {
                size_t used = strlen(plan);

                (void) snprintf(plan + used,
                                n - used,
                                "%s; ",
                                (const char *) sqlite3_column_text(statement, 3));
        }
        (void) sqlite3_finalize(statement);
}

static void test_plans(void) {
        static const struct {
                StoreSql sql;
                const char *uses;
        } cases[] = {
                { STORE_SQL_INCIDENTS_READ, "USING COVERING INDEX incidents_scan" },
                { STORE_SQL_CRASHES_READ,
                  "SEARCH incidents USING COVERING INDEX incidents_signature" },
                { STORE_SQL_CRASH_MACHINES_READ,
                  "SEARCH incidents USING COVERING INDEX incidents_signature" },
                { STORE_SQL_INCIDENTS_OPEN, "incidents_status" },
                { STORE_SQL_INCIDENTS_RECENT, "incidents_status" },
                { STORE_SQL_INCIDENTS_OF_MACHINE, "COVERING INDEX incidents_machine" },
                { STORE_SQL_INCIDENTS_DROP_CLOSED, "COVERING INDEX incidents_status" },
                { STORE_SQL_INCIDENTS_DROP_AGED, "COVERING INDEX incidents_status" },
                { STORE_SQL_INCIDENTS_DROP_MACHINE_CLOSED, "COVERING INDEX incidents_machine" },
                { STORE_SQL_INCIDENTS_DROP_MACHINE_ANY, "COVERING INDEX incidents_machine" },
                { STORE_SQL_EVENTS_OF_MACHINE, "COVERING INDEX events_machine" },
                { STORE_SQL_EVENTS_DROP_MACHINE, "COVERING INDEX events_machine" },
                { STORE_SQL_EVENTS_READ, "INTEGER PRIMARY KEY" },
                { STORE_SQL_MACHINES_DROP, "COVERING INDEX machines_changed" },
        };
        sqlite3 *db = test_open();
        char plan[1024];

        CU_ASSERT_EQUAL(store_schema_upgrade(db, store_schema_steps, store_schema_version),
                        SQLITE_OK);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                test_explain(db, cases[i].sql, plan, sizeof(plan));
                if (!strstr(plan, cases[i].uses))
                        printf("        %s\n        %s\n", store_schema_get_sql(cases[i].sql), plan);
                CU_ASSERT_PTR_NOT_NULL(strstr(plan, cases[i].uses));
        }
        /* Newest first, a thousand at most, whatever there is: no sorting. */
        test_explain(db, STORE_SQL_INCIDENTS_READ, plan, sizeof(plan));
        CU_ASSERT_PTR_NULL(strstr(plan, "TEMP B-TREE"));
        test_explain(db, STORE_SQL_INCIDENTS_RECENT, plan, sizeof(plan));
        CU_ASSERT_PTR_NULL(strstr(plan, "TEMP B-TREE"));
        (void) sqlite3_close(db);
}

static void test_all_statements(void) {
        sqlite3 *db = test_open();
        sqlite3_stmt *statement;

        CU_ASSERT_EQUAL(store_schema_upgrade(db, store_schema_steps, store_schema_version),
                        SQLITE_OK);
        for (unsigned i = 0; i < _STORE_SQL_MAX; i++) {
                CU_ASSERT_PTR_NOT_NULL_FATAL(store_schema_get_sql(i));
                CU_ASSERT_EQUAL(sqlite3_prepare_v2(db, store_schema_get_sql(i), -1, &statement, NULL),
                                SQLITE_OK);
                (void) sqlite3_finalize(statement);
        }
        (void) sqlite3_close(db);
}

TEST_MAIN("store-schema",
          { "an older one is upgraded", test_upgrade },
          { "version 1 becomes version 2", test_upgrade_to_2 },
          { "an upgrade that fails leaves the old one", test_upgrade_fails },
          { "statements find their indexes", test_plans },
          { "every statement fits the schema", test_all_statements })
