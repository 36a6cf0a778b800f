/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An answer is bounded by rows and by bytes. Records are parsed here and not in the loop: a
 * thousand of them would hold up every guest for some 20 ms. A record that is no JSON any more is
 * left out: damage of one is no reason to withhold the others.
 */
#include "daemon/store/store-rows.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/store-crashes.h"
#include "policy/qapi/json.h"

/* Of one answer; at least one row is given. store_read_events() never gets here: its rows
 * are bounded by STORE_EVENT_MAX each, and a short answer means the end of the log. */
#define STORE_ANSWER_BYTES (4 << 20)

static int store_rows_put_incident(StoreDb *db, StoreOp *op) {
        int r;

        r = store_db_run(db,
                         STORE_SQL_INCIDENT_UPDATE,
                         "usssutss",
                         op->number,
                         op->machine,
                         op->kind,
                         op->status,
                         op->time_us,
                         op->text,
                         op->n_text,
                         op->signature,
                         op->cause);
        if (r < 0 || store_db_count_changes(db) > 0)
                return r;
        r = store_db_run(db,
                         STORE_SQL_INCIDENT_INSERT,
                         "usssutss",
                         op->number,
                         op->machine,
                         op->kind,
                         op->status,
                         op->time_us,
                         op->text,
                         op->n_text,
                         op->signature,
                         op->cause);
        if (r == 0)
                db->n_incidents++;
        return r;
}

static int store_rows_put_event(StoreDb *db, StoreOp *op) {
        int r;

        r = store_db_run(db,
                         STORE_SQL_EVENT_PUT,
                         "ussut",
                         op->number,
                         op->machine,
                         op->name,
                         op->time_us,
                         op->text,
                         op->n_text);
        if (r < 0)
                return r;
        db->n_events++;
        if (db->first_event == 0)
                db->first_event = op->number;
        db->last_event = op->number;
        return 0;
}

int store_rows_write(StoreDb *db, StoreOp *op) {
        int r = 0;

        switch (op->type) {
        case STORE_OP_INCIDENT:
                r = store_rows_put_incident(db, op);
                break;
        case STORE_OP_EVENT:
                r = store_rows_put_event(db, op);
                break;
        case STORE_OP_MACHINE:
                r = store_db_run(db,
                                 STORE_SQL_MACHINE_PUT,
                                 "ssut",
                                 op->machine,
                                 op->name,
                                 op->time_us,
                                 op->text,
                                 op->n_text);
                break;
        case STORE_OP_READ_EVENTS:
        case STORE_OP_READ_INCIDENTS:
        case STORE_OP_READ_CRASHES:
        case STORE_OP_LOAD_OPEN:
        case STORE_OP_LOAD_RECENT:
        case STORE_OP_LOAD_MACHINES:
        case STORE_OP_ANSWER:
                break;
        }
        op->r = r == -EINVAL ? r : 0;
        return r;
}

static int store_rows_bind(StoreDb *db, const StoreOp *op, sqlite3_stmt **ret) {
        switch (op->type) {
        case STORE_OP_READ_EVENTS:
                return store_db_bind(
                        db, STORE_SQL_EVENTS_READ, ret, "uu", op->number, (uint64_t) op->limit);
        case STORE_OP_READ_INCIDENTS:
                return store_db_bind(db,
                                     STORE_SQL_INCIDENTS_READ,
                                     ret,
                                     "uusssuussu",
                                     op->number,
                                     op->before,
                                     op->machine,
                                     op->kind,
                                     op->status,
                                     op->time_us,
                                     op->until_us,
                                     op->signature,
                                     op->cause,
                                     (uint64_t) op->limit);
        case STORE_OP_LOAD_OPEN:
                return store_db_bind(db,
                                     STORE_SQL_INCIDENTS_OPEN,
                                     ret,
                                     "uu",
                                     op->number,
                                     (uint64_t) STORE_LOAD_PART);
        case STORE_OP_LOAD_RECENT:
                return store_db_bind(db,
                                     STORE_SQL_INCIDENTS_RECENT,
                                     ret,
                                     "uuu",
                                     op->time_us,
                                     op->number,
                                     (uint64_t) STORE_LOAD_PART);
        case STORE_OP_LOAD_MACHINES:
                return store_db_bind(db,
                                     STORE_SQL_MACHINES_READ,
                                     ret,
                                     "su",
                                     op->machine,
                                     (uint64_t) STORE_LOAD_PART);
        case STORE_OP_INCIDENT:
        case STORE_OP_MACHINE:
        case STORE_OP_EVENT:
        case STORE_OP_READ_CRASHES:
        case STORE_OP_ANSWER:
                break;
        }
        return -EINVAL;
}

static int store_rows_copy_text(sqlite3_stmt *statement, int column, char **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);
        char *copy;

        copy = strdup(text ? text : "");
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/* Returns -EBADMSG for a record that is no JSON. */
static int store_rows_parse(sqlite3_stmt *statement, int column, json_object **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);
        _cleanup_free_ char *error = NULL;
        int r;

        if (!text)
                return 0;
        r = json_parse(text, (size_t) sqlite3_column_bytes(statement, column), ret, &error);
        return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

static int store_rows_fill(const StoreOp *op, sqlite3_stmt *statement, StoreRow *row) {
        int r;

        if (op->type == STORE_OP_LOAD_MACHINES) {
                r = store_rows_copy_text(statement, 0, &row->name);
                if (r == 0)
                        r = store_rows_copy_text(statement, 1, &row->run);
                if (r == 0)
                        r = store_rows_parse(statement, 2, &row->json);
                return r == -EBADMSG ? 0 : r;
        }
        row->number = (uint64_t) sqlite3_column_int64(statement, 0);
        if (op->type == STORE_OP_READ_EVENTS)
                return store_rows_copy_text(statement, 1, &row->text);
        if (op->type == STORE_OP_LOAD_RECENT)
                row->time_us = (uint64_t) sqlite3_column_int64(statement, 2);
        return store_rows_parse(statement, 1, &row->json);
}

int store_rows_append(StoreOp *op, StoreRow **ret) {
        StoreRow *rows;

        /* grows at 0, 16, 32, 64, ... */
        if (op->n_rows == 0 || (op->n_rows >= 16 && (op->n_rows & (op->n_rows - 1)) == 0)) {
                rows = reallocarray(op->rows, op->n_rows == 0 ? 16 : op->n_rows * 2, sizeof(*rows));
                if (!rows)
                        return -ENOMEM;
                op->rows = rows;
        }
        *ret = &op->rows[op->n_rows++];
        **ret = (StoreRow){};
        return 0;
}

static int store_rows_read_all(StoreDb *db, StoreOp *op) {
        _cleanup_(store_db_resetp) sqlite3_stmt *statement = NULL;
        size_t bytes = 0;
        StoreRow *row;
        int r;

        r = store_rows_bind(db, op, &statement);
        while (r >= 0 && bytes < STORE_ANSWER_BYTES) {
                r = store_db_step(db, statement);
                if (r <= 0)
                        break;
                r = store_rows_append(op, &row);
                if (r < 0)
                        break;
                r = store_rows_fill(op, statement, row);
                if (op->type != STORE_OP_READ_EVENTS)
                        bytes += (size_t) sqlite3_column_bytes(statement, 1);
                if (r == -EBADMSG)
                        r = 0;
        }
        return r < 0 ? r : 0;
}

void store_rows_read(StoreDb *db, StoreOp *op) {
        op->r = op->type == STORE_OP_READ_CRASHES ? store_crashes_read(db, op)
                                                  : store_rows_read_all(db, op);
}

int store_rows_write_holes(StoreDb *db, const StoreHoles *holes) {
        int r;

        r = store_db_run(db, STORE_SQL_HOLES_DROP_ALL, "");
        for (size_t i = 0; i < holes->n && r == 0; i++)
                r = store_db_run(db,
                                 STORE_SQL_HOLE_PUT,
                                 "uus",
                                 holes->holes[i].first,
                                 holes->holes[i].last,
                                 store_hole_reason_to_string(holes->holes[i].reason));
        return r;
}

int store_rows_read_holes(StoreDb *db, StoreHoles *holes) {
        _cleanup_(store_db_resetp) sqlite3_stmt *statement = NULL;
        int r;

        r = store_db_bind(db, STORE_SQL_HOLES_READ, &statement, "");
        if (r < 0)
                return r;
        while ((r = store_db_step(db, statement)) > 0)
                store_holes_add(holes,
                                (uint64_t) sqlite3_column_int64(statement, 0),
                                (uint64_t) sqlite3_column_int64(statement, 1),
                                store_hole_reason_from_string(
                                        (const char *) sqlite3_column_text(statement, 2)));
        return r;
}
