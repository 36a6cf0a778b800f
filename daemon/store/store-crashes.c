/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store/store-crashes.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/store-rows.h"
#include "policy/incident.h"

/* Machines named in one group: enough for a reader; the group says how many there are. */
#define STORE_CRASH_MACHINES 16

static const char *store_crashes_get_text(sqlite3_stmt *statement, int column) {
        return (const char *) sqlite3_column_text(statement, column);
}

static uint64_t store_crashes_get_number(sqlite3_stmt *statement, int column) {
        return (uint64_t) sqlite3_column_int64(statement, column);
}

static int store_crashes_add_machine(sqlite3_stmt *statement, CrashGroup *group) {
        CrashMachine *machine;

        if (!group->most) {
                group->most = calloc(STORE_CRASH_MACHINES, sizeof(*group->most));
                if (!group->most)
                        return -ENOMEM;
        }
        machine = group->most[group->n_most++] = calloc(1, sizeof(*machine));
        if (!machine)
                return -ENOMEM;
        machine->machine = strdup(store_crashes_get_text(statement, 0));
        machine->count = store_crashes_get_number(statement, 1);
        return machine->machine ? 0 : -ENOMEM;
}

static int store_crashes_read_machines(StoreDb *db, const StoreOp *op, CrashGroup *group) {
        _cleanup_(store_db_resetp) sqlite3_stmt *statement = NULL;
        int r;

        r = store_db_bind(db,
                          STORE_SQL_CRASH_MACHINES_READ,
                          &statement,
                          "sssuuu",
                          group->signature,
                          op->machine,
                          op->kind,
                          op->time_us,
                          op->until_us,
                          (uint64_t) STORE_CRASH_MACHINES);
        while (r >= 0 && (r = store_db_step(db, statement)) > 0)
                r = store_crashes_add_machine(statement, group);
        return r;
}

static int store_crashes_fill(sqlite3_stmt *statement, CrashGroup *group) {
        const char *headline = store_crashes_get_text(statement, 7);

        group->signature = strdup(store_crashes_get_text(statement, 0));
        group->count = store_crashes_get_number(statement, 1);
        group->first = timestamp_new(store_crashes_get_number(statement, 2));
        group->last = timestamp_new(store_crashes_get_number(statement, 3));
        group->newest = store_crashes_get_number(statement, 4);
        group->machines = store_crashes_get_number(statement, 5);
        if (headline) {
                group->headline = strdup(headline);
                if (!group->headline)
                        return -ENOMEM;
        }
        if (!group->signature || !group->first || !group->last)
                return -ENOMEM;
        /* of a tocsin that knows more kinds */
        return incident_kind_from_string(store_crashes_get_text(statement, 6), &group->kind) < 0
                       ? -EBADMSG
                       : 0;
}

static int store_crashes_add(StoreDb *db, StoreOp *op, sqlite3_stmt *statement) {
        _cleanup_(crash_group_freep) CrashGroup *group = calloc(1, sizeof(*group));
        StoreRow *row;
        int r;

        if (!group)
                return -ENOMEM;
        r = store_crashes_fill(statement, group);
        if (r == 0)
                r = store_crashes_read_machines(db, op, group);
        if (r == 0)
                r = store_rows_append(op, &row);
        if (r == 0)
                r = crash_group_to_json(group, &row->json);
        return r == -EBADMSG ? 0 : r;
}

int store_crashes_read(StoreDb *db, StoreOp *op) {
        _cleanup_(store_db_resetp) sqlite3_stmt *statement = NULL;
        int r;

        r = store_db_bind(db,
                          STORE_SQL_CRASHES_READ,
                          &statement,
                          "sssuuu",
                          op->signature,
                          op->machine,
                          op->kind,
                          op->time_us,
                          op->until_us,
                          (uint64_t) op->limit);
        while (r >= 0 && (r = store_db_step(db, statement)) > 0)
                r = store_crashes_add(db, op, statement);
        return r;
}
