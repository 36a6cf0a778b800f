/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trimming happens in the transactions that write, a bounded number of rows each; when that is not
 * enough the thread makes further transactions of nothing else, between which it looks after what
 * has come in. Closed incidents go before open ones, always. Age bites when something is
 * written: an idle store is left in peace.
 *
 * Machines: counting the rows of one costs a walk along its index, so it is done once in so many
 * rows. What counts these rows is a fixed table over a hash of the name: flat memory for any
 * number of names. Two machines in one bucket are counted at random turns; the quota then
 * bites late by some rows. Trimming goes below the quota by what may come until the next count.
 *
 * Size: a quarter of `bytes`, and 4 MiB at least, is for the write-ahead log, which can't be
 * trimmed, only worked in; the file gets the rest. Pages that deleted rows leave behind are used
 * again, or given back when they are many. Events and incidents shrink by the same share.
 */
#include "daemon/store/store-trim.h"

#include <string.h>

/* Rows dropped in one step, of each table: twice what a batch can bring. */
#define STORE_TRIM_ROWS 1024
/* A machine is counted once in quota / 8 rows, at most so many. */
#define STORE_TRIM_SLACK_MAX 512
/* Free pages given back in one step: up to a megabyte moves. */
#define STORE_TRIM_PAGES 256
/* Runs of machines that are remembered: twice the guests of the biggest host. */
#define STORE_MACHINES_MAX 20000
/* They are counted once in so many that are written. */
#define STORE_MACHINES_EACH 1024

static uint64_t store_trim_min(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Rows of a bucket between two counts. */
static uint64_t store_trim_get_slack(uint64_t quota) {
        uint64_t slack = store_trim_min(quota / 8, STORE_TRIM_SLACK_MAX);

        return slack > 0 ? slack : 1;
}

/* What may stay, so that the quota holds until the next count. */
static uint64_t store_trim_get_keep(uint64_t quota) {
        return quota - (store_trim_get_slack(quota) - 1);
}

/* FNV-1a */
static unsigned store_trim_hash(const char *machine) {
        uint32_t hash = 2166136261;

        for (; *machine != '\0'; machine++)
                hash = (hash ^ (unsigned char) *machine) * 16777619;
        return hash % STORE_TRIM_BUCKETS;
}

void store_trim_set_limits(StoreTrim *trim, const StoreLimits *limits) {
        trim->limits = *limits;
        /* The next row of any machine has it counted. */
        memset(trim->events, 0xff, sizeof(trim->events));
        memset(trim->incidents, 0xff, sizeof(trim->incidents));
}

static int store_trim_events_changed(StoreDb *db) {
        return store_db_get(db, STORE_SQL_EVENTS_FIRST, &db->first_event, "");
}

static int store_trim_machine_events(StoreDb *db, const char *machine, uint64_t quota) {
        uint64_t n, keep = store_trim_get_keep(quota);
        int r;

        r = store_db_get(db, STORE_SQL_EVENTS_OF_MACHINE, &n, "s", machine);
        if (r < 0 || n <= keep)
                return r;
        r = store_db_run(db,
                         STORE_SQL_EVENTS_DROP_MACHINE,
                         "us",
                         store_trim_min(n - keep, STORE_TRIM_ROWS),
                         machine);
        if (r < 0)
                return r;
        db->n_events -= store_db_count_changes(db);
        return store_trim_events_changed(db);
}

static int store_trim_machine_incidents(StoreDb *db, const char *machine, uint64_t quota) {
        uint64_t n, dropped, keep = store_trim_get_keep(quota);
        int r;

        r = store_db_get(db, STORE_SQL_INCIDENTS_OF_MACHINE, &n, "s", machine);
        if (r < 0 || n <= keep)
                return r;
        r = store_db_run(db,
                         STORE_SQL_INCIDENTS_DROP_MACHINE_CLOSED,
                         "us",
                         store_trim_min(n - keep, STORE_TRIM_ROWS),
                         machine);
        if (r < 0)
                return r;
        dropped = store_db_count_changes(db);
        /* Open ones have to go only for what is really above the quota. */
        if (n - dropped > quota) {
                r = store_db_run(db,
                                 STORE_SQL_INCIDENTS_DROP_MACHINE_ANY,
                                 "us",
                                 store_trim_min(n - dropped - quota, STORE_TRIM_ROWS),
                                 machine);
                if (r < 0)
                        return r;
                dropped += store_db_count_changes(db);
        }
        db->n_incidents -= dropped;
        return 0;
}

int store_trim_machine(StoreTrim *trim, StoreDb *db, const StoreOp *op) {
        bool event = op->type == STORE_OP_EVENT;
        uint64_t quota = event ? trim->limits.events_per_machine : trim->limits.incidents_per_machine;
        uint16_t *bucket;

        if (op->type == STORE_OP_MACHINE) {
                if (trim->machines++ > 0 && trim->machines < STORE_MACHINES_EACH)
                        return 0;
                trim->machines = 1;
                return store_db_run(db, STORE_SQL_MACHINES_DROP, "u", (uint64_t) STORE_MACHINES_MAX);
        }
        if (quota == 0)
                return 0;
        bucket = &(event ? trim->events : trim->incidents)[store_trim_hash(op->machine)];
        if (*bucket < UINT16_MAX)
                (*bucket)++;
        if (*bucket < store_trim_get_slack(quota))
                return 0;
        *bucket = 0;
        return event ? store_trim_machine_events(db, op->machine, quota)
                     : store_trim_machine_incidents(db, op->machine, quota);
}

/* Each of these drops at most *left rows and takes them off. */
static int store_trim_events(StoreDb *db, uint64_t n, uint64_t *left) {
        uint64_t dropped;
        int r;

        n = store_trim_min(n, *left);
        if (n == 0)
                return 0;
        r = store_db_run(db, STORE_SQL_EVENTS_DROP, "u", n);
        if (r < 0)
                return r;
        dropped = store_db_count_changes(db);
        db->n_events -= dropped;
        *left -= dropped;
        return store_trim_events_changed(db);
}

static int store_trim_incidents(StoreDb *db, StoreSql sql, uint64_t n, uint64_t *left) {
        uint64_t dropped;
        int r;

        n = store_trim_min(n, *left);
        if (n == 0)
                return 0;
        r = store_db_run(db, sql, "u", n);
        if (r < 0)
                return r;
        dropped = store_db_count_changes(db);
        db->n_incidents -= dropped;
        *left -= dropped;
        return 0;
}

static int store_trim_counts(StoreTrim *trim, StoreDb *db, uint64_t *events, uint64_t *incidents) {
        uint64_t limit = trim->limits.events;
        int r = 0;

        if (limit > 0 && db->n_events > limit)
                r = store_trim_events(db, db->n_events - limit, events);
        limit = trim->limits.incidents;
        if (r == 0 && limit > 0 && db->n_incidents > limit)
                r = store_trim_incidents(db,
                                         STORE_SQL_INCIDENTS_DROP_CLOSED,
                                         db->n_incidents - limit,
                                         incidents);
        if (r == 0 && limit > 0 && db->n_incidents > limit)
                r = store_trim_incidents(db,
                                         STORE_SQL_INCIDENTS_DROP_ANY,
                                         db->n_incidents - limit,
                                         incidents);
        return r;
}

static int store_trim_age(StoreDb *db, uint64_t before_us, uint64_t *events, uint64_t *incidents) {
        uint64_t oldest, dropped;
        int r;

        r = store_db_run(db, STORE_SQL_INCIDENTS_DROP_AGED, "uu", *incidents, before_us);
        if (r < 0)
                return r;
        dropped = store_db_count_changes(db);
        db->n_incidents -= dropped;
        *incidents -= dropped;

        r = store_db_get(db, STORE_SQL_EVENTS_OLDEST_TIME, &oldest, "");
        if (r < 0 || db->n_events == 0 || oldest >= before_us)
                return r;
        r = store_db_run(db, STORE_SQL_EVENTS_DROP_AGED, "uu", *events, before_us);
        if (r < 0)
                return r;
        dropped = store_db_count_changes(db);
        db->n_events -= dropped;
        *events -= dropped;
        return store_trim_events_changed(db);
}

uint64_t store_trim_get_log_share(const StoreLimits *limits) {
        uint64_t share = limits->bytes / 4;

        return share > STORE_BYTES_MIN / 2 ? share : STORE_BYTES_MIN / 2;
}

static int store_trim_size(StoreTrim *trim,
                           StoreDb *db,
                           uint64_t *events,
                           uint64_t *incidents,
                           bool *ret_more) {
        uint64_t budget = (trim->limits.bytes - store_trim_get_log_share(&trim->limits)) /
                          STORE_DB_PAGE;
        uint64_t pages, unused, used, before;
        int r;

        r = store_db_get(db, STORE_SQL_PAGES, &pages, "");
        if (r == 0)
                r = store_db_get(db, STORE_SQL_FREE_PAGES, &unused, "");
        if (r < 0)
                return r;

        before = *events + *incidents;
        used = pages - unused;
        if (used > budget) {
                /* of n rows as many as pages are too many, and one */
                r = store_trim_events(db, db->n_events * (used - budget) / used + 1, events);
                if (r == 0)
                        r = store_trim_incidents(db,
                                                 STORE_SQL_INCIDENTS_DROP_CLOSED,
                                                 db->n_incidents * (used - budget) / used + 1,
                                                 incidents);
                if (r == 0 && *events + *incidents == before)
                        r = store_trim_incidents(db,
                                                 STORE_SQL_INCIDENTS_DROP_ANY,
                                                 db->n_incidents * (used - budget) / used + 1,
                                                 incidents);
                /* With nothing left to drop there is nothing more to do. */
                *ret_more = *ret_more || *events + *incidents < before;
        } else if (unused > STORE_TRIM_PAGES && (pages > budget || unused > pages / 4)) {
                before = unused;
                r = store_db_vacuum(db, STORE_TRIM_PAGES);
                if (r == 0)
                        r = store_db_get(db, STORE_SQL_FREE_PAGES, &unused, "");
                *ret_more = *ret_more || unused < before;
        }
        return r;
}

int store_trim_step(StoreTrim *trim, StoreDb *db, uint64_t now_real_us, bool *ret_more) {
        uint64_t events = STORE_TRIM_ROWS, incidents = STORE_TRIM_ROWS, age = trim->limits.age_us;
        bool more = false;
        int r;

        r = store_trim_counts(trim, db, &events, &incidents);
        if (r == 0 && age > 0 && now_real_us > age)
                r = store_trim_age(db, now_real_us - age, &events, &incidents);
        if (r == 0 && trim->limits.bytes > 0)
                r = store_trim_size(trim, db, &events, &incidents, &more);
        if (r < 0)
                return r;
        *ret_more = more || events == 0 || incidents == 0;
        return 0;
}
