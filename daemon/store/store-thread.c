/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer thread takes what is queued, writes it in one transaction, and answers.
 *
 * The difficulty is a disk that does not do its part. What failed goes back to the front of the
 * queue, whose bound then decides what is lost, and is tried again after a growing pause;
 * reads go on meanwhile. A damaged file is set aside and a new one begun with the same batch. When
 * no file can be had, the same code works on a database in memory of a fixed size, and its rows
 * move to the file when there is one. A call that does not return holds up this thread alone: the
 * loop sees it in busy_since_us.
 */
#include "daemon/store/store-thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store/store-home.h"
#include "daemon/store/store-rows.h"
#include "daemon/store/store-shared.h"
#include "daemon/store/store-trim.h"
#include "policy/util/moment.h"

/* Between two tries of a disk that fails. */
#define STORE_PAUSE_MIN_US USEC_PER_SEC
#define STORE_PAUSE_MAX_US (60 * USEC_PER_SEC)
/* In one turn: the file, and a new one after it was set aside. */
#define STORE_TRIES 2
/* Most that a database in memory takes. */
#define STORE_MEMORY_BYTES (UINT64_C(16) << 20)
/* Events gather for so long, so that a stream of them costs a few transactions and wakeups a second
 * and not one each; they are lost, and told as lost, if tocsind is killed meanwhile. */
#define STORE_GATHER_US (20 * USEC_PER_MSEC)
/* The write-ahead log is worked in when it has so many pages, or an eighth of its share. */
#define STORE_WAL_PAGES 1000

typedef struct StoreThread {
        StoreShared *shared;
        StoreHome home;
        StoreDb *db;    /* never NULL while the thread works */
        StoreMark mark; /* as it is in db */
        StoreTrim trim;
        bool more;                   /* to trim */
        int wal_pages;               /* of STORE_WAL_PAGES */
        bool failing;                /* the last write failed, and is tried again */
        uint64_t retry_us, pause_us; /* when what is wrong is tried again; 0: all is well */
} StoreThread;

static void store_thread_lock(StoreThread *t) {
        (void) pthread_mutex_lock(&t->shared->lock);
}

static void store_thread_unlock(StoreThread *t) {
        (void) pthread_mutex_unlock(&t->shared->lock);
}

static bool store_thread_is_due(const StoreThread *t) {
        return t->retry_us > 0 && store_now_us(CLOCK_MONOTONIC) >= t->retry_us;
}

/* The lock is held. */
static void store_thread_set_problem(StoreThread *t, int error, const char *text) {
        StoreShared *shared = t->shared;

        if (shared->error == error && strcmp(shared->problem, text) == 0)
                return;
        shared->error = error;
        (void) snprintf(shared->problem, sizeof(shared->problem), "%s", text);
        store_shared_wake(shared);
}

static void store_thread_grow_pause(StoreThread *t) {
        t->pause_us = t->pause_us == 0 ? STORE_PAUSE_MIN_US : t->pause_us * 2;
        if (t->pause_us > STORE_PAUSE_MAX_US)
                t->pause_us = STORE_PAUSE_MAX_US;
        t->retry_us = store_now_us(CLOCK_MONOTONIC) + t->pause_us;
}

static void store_thread_set_limits(StoreThread *t, const StoreLimits *limits) {
        StoreLimits mine = *limits;

        if (!t->db->path && (mine.bytes == 0 || mine.bytes > STORE_MEMORY_BYTES))
                mine.bytes = STORE_MEMORY_BYTES;
        store_trim_set_limits(&t->trim, &mine);
        t->wal_pages = STORE_WAL_PAGES;
        if (mine.bytes > 0 && store_trim_get_log_share(&mine) / 8 / STORE_DB_PAGE < STORE_WAL_PAGES)
                t->wal_pages = (int) (store_trim_get_log_share(&mine) / 8 / STORE_DB_PAGE);
        (void) store_db_limit_wal(t->db, (uint64_t) t->wal_pages * 2 * STORE_DB_PAGE);
        t->more = true;
}

/* The first number of the life that marked the file which may have been given and is not in it. */
static uint64_t store_thread_get_unwritten(const StoreThread *t) {
        uint64_t first = t->mark.first_seq;

        return first > t->db->last_event ? first : t->db->last_event + 1;
}

/* A database was opened that was not open before. */
static void store_thread_adopt(StoreThread *t) {
        StoreShared *shared = t->shared;
        StoreHoles holes = {};
        StoreLimits limits;

        (void) store_rows_read_holes(t->db, &holes);
        store_thread_lock(t);
        if (t->home.lost) {
                store_make_log(shared->log);
                shared->holes.n = 0;
        } else if (t->mark.known && strcmp(t->mark.log, shared->log) == 0) {
                shared->holes = holes;
                if (!t->mark.clean)
                        store_holes_add(&shared->holes,
                                        store_thread_get_unwritten(t),
                                        t->mark.next_seq - 1,
                                        STORE_HOLE_UNCLEAN_END);
        }
        shared->holes_changed = true;
        shared->first_event = t->db->first_event;
        shared->last_event = t->db->last_event;
        (void) snprintf(shared->notice, sizeof(shared->notice), "%s", t->home.notice);
        limits = shared->limits;
        store_shared_wake(shared);
        store_thread_unlock(t);

        t->home.lost = false;
        /* Whatever the file says: from now on its mark has to be ours, and on disk. */
        t->mark = (StoreMark){};
        store_thread_set_limits(t, &limits);
}

static void store_thread_use_memory(StoreThread *t) {
        /* Without 100 KiB of memory nothing else goes on either. */
        while (store_home_open_memory(&t->db) < 0)
                (void) usleep(USEC_PER_SEC / 10);
        store_thread_grow_pause(t);
}

static void store_thread_tell_memory(StoreThread *t) {
        char text[STORE_PROBLEM_SIZE];

        (void) snprintf(text, sizeof(text), "records are kept in memory only: %.400s", t->home.problem);
        store_thread_lock(t);
        store_thread_set_problem(t, 0, text);
        store_thread_unlock(t);
}

static void store_thread_replace(StoreThread *t) {
        int r;

        r = store_home_replace(&t->home, &t->db);
        if (r < 0) {
                store_thread_use_memory(t);
                store_thread_tell_memory(t);
        }
        t->home.lost = true;
        store_thread_adopt(t);
}

/* The disk is tried again; what was kept in memory goes there. */
static void store_thread_join(StoreThread *t) {
        StoreMark mark = {};
        StoreDb *db;
        int r;

        r = store_home_join(&t->home, t->db, &db, &mark);
        if (r < 0) {
                store_thread_grow_pause(t);
                store_thread_tell_memory(t);
                return;
        }
        (void) store_db_free(t->db);
        t->db = db;
        t->mark = mark;
        t->retry_us = t->pause_us = 0;
        /* The log that lived in memory is the one clients know; it goes on. */
        t->home.lost = false;
        store_thread_adopt(t);
        store_thread_lock(t);
        store_thread_set_problem(t, 0, "");
        store_thread_unlock(t);
}

/* Numbers to be marked on disk as used before they are; holes. Tells whether there is any of it. */
static bool store_thread_prepare(StoreThread *t, StoreMark *mark, StoreHoles *holes, bool *ret_holes) {
        StoreShared *shared = t->shared;
        bool changed;

        store_thread_lock(t);
        *mark = (StoreMark){
                .known = true,
                .next_seq = shared->asked.seq,
                .next_incident = shared->asked.incident,
                .first_seq = shared->next.seq,
        };
        memcpy(mark->log, shared->log, sizeof(mark->log));
        *ret_holes = shared->holes_changed;
        if (shared->holes_changed)
                *holes = shared->holes;
        shared->holes_changed = false;
        store_thread_unlock(t);

        changed = !t->mark.known || mark->next_seq != t->mark.next_seq ||
                  mark->next_incident != t->mark.next_incident ||
                  strcmp(mark->log, t->mark.log) != 0;
        return changed;
}

static int store_thread_write_rows(StoreThread *t, bool *ret_more) {
        int r;

        /* The list is the thread's while operations are in it; the loop reads its links only. */
        list_foreach(i, &t->shared->queue.taken) {
                StoreOp *op = list_entry(i, StoreOp, link);

                r = store_rows_write(t->db, op);
                if (r == -EINVAL)
                        continue;
                if (r == 0)
                        r = store_trim_machine(&t->trim, t->db, op);
                if (r < 0)
                        return r;
        }
        r = store_trim_step(&t->trim, t->db, store_now_us(CLOCK_REALTIME), ret_more);
        if (r == 0)
                r = store_db_put_totals(t->db);
        return r;
}

static bool store_thread_must_sync(const StoreThread *t) {
        list_foreach(i, &t->shared->queue.taken)
                if (list_entry(i, StoreOp, link)->sync)
                        return true;
        return false;
}

/* One transaction with all that was taken. What the database counts is put back if it fails. */
static int store_thread_transact(StoreThread *t) {
        StoreDb *db = t->db;
        StoreMark mark;
        StoreHoles holes;
        uint64_t n_events = db->n_events, n_incidents = db->n_incidents, first = db->first_event,
                 last = db->last_event;
        bool mark_due, holes_due, more = false;
        int r;

        mark_due = store_thread_prepare(t, &mark, &holes, &holes_due);
        r = store_db_begin(db, mark_due || store_thread_must_sync(t));
        if (r == 0 && mark_due)
                r = store_db_put_mark(db, &mark);
        if (r == 0 && holes_due)
                r = store_rows_write_holes(db, &holes);
        if (r == 0)
                r = store_thread_write_rows(t, &more);
        if (r == 0)
                r = store_db_commit(db);
        if (r == 0) {
                t->mark = mark;
                t->more = more;
                return 0;
        }

        store_db_rollback(db);
        db->n_events = n_events;
        db->n_incidents = n_incidents;
        db->first_event = first;
        db->last_event = last;
        if (holes_due) {
                store_thread_lock(t);
                t->shared->holes_changed = true;
                store_thread_unlock(t);
        }
        return r;
}

/* What was taken is written. */
static void store_thread_publish(StoreThread *t) {
        StoreShared *shared = t->shared;

        store_thread_lock(t);
        /* A database in memory marks nothing as used. */
        if (t->db->path && strcmp(shared->log, t->mark.log) == 0)
                shared->reserved = (StoreNumbers){ t->mark.next_seq, t->mark.next_incident };
        shared->first_event = t->db->first_event;
        shared->last_event = t->db->last_event;
        list_foreach_safe(i, n, &shared->queue.taken) {
                StoreOp *op = list_entry(i, StoreOp, link);

                if (op->r < 0) {
                        shared->queue.n_lost++;
                        if (op->type == STORE_OP_EVENT)
                                store_shared_add_holes(shared, op->number, op->number);
                }
                store_queue_complete(&shared->queue, op);
        }
        if (!list_is_empty(&shared->queue.completed))
                store_shared_wake(shared);
        store_thread_unlock(t);
}

/* The write-ahead log is worked in after the answers have gone out. Returns -EBUSY when another
 * program keeps it from that for so long that the log takes more than its share. */
static int store_thread_checkpoint(StoreThread *t) {
        int r;

        if (t->db->wal_pages < t->wal_pages)
                return 0;
        r = store_db_checkpoint(t->db);
        if (r == -EBUSY && t->db->wal_pages < 4 * t->wal_pages)
                return 0;
        return r;
}

static void store_thread_fail(StoreThread *t, int error) {
        char text[STORE_PROBLEM_SIZE];

        (void) snprintf(text,
                        sizeof(text),
                        "cannot write %.300s: %.150s",
                        t->shared->path,
                        store_db_get_error(t->db));
        store_thread_lock(t);
        store_queue_put_back(&t->shared->queue);
        store_thread_set_problem(t, error, text);
        store_thread_unlock(t);
        t->failing = true;
        store_thread_grow_pause(t);
}

/* Under the lock for as long as it takes to move pointers. */
static void store_thread_take(StoreThread *t) {
        StoreShared *shared = t->shared;
        StoreLimits limits;
        bool changed;

        store_thread_lock(t);
        store_queue_take_writes(&shared->queue);
        limits = shared->limits;
        changed = shared->limits_changed;
        shared->limits_changed = false;
        store_thread_unlock(t);
        if (changed)
                store_thread_set_limits(t, &limits);
}

static void store_thread_write(StoreThread *t) {
        int r = -EUCLEAN;

        if (!t->db->path && store_thread_is_due(t))
                store_thread_join(t);
        store_thread_take(t);

        for (unsigned i = 0; i < STORE_TRIES && r == -EUCLEAN; i++) {
                if (i > 0 || store_db_has_moved(t->db))
                        store_thread_replace(t);
                r = store_thread_transact(t);
                if (r < 0)
                        continue;
                store_thread_publish(t);
                r = store_thread_checkpoint(t);
        }
        if (r < 0) {
                store_thread_fail(t, r);
        } else if (t->failing) {
                t->failing = false;
                t->retry_us = t->pause_us = 0;
                store_thread_lock(t);
                store_thread_set_problem(t, 0, "");
                store_thread_unlock(t);
        }
}

static void store_thread_read(StoreThread *t) {
        StoreShared *shared = t->shared;
        StoreOp *op;

        /* Trimming and marks have their turn between reads. */
        for (unsigned i = 0; i < STORE_ANSWERS_MAX; i++) {
                store_thread_lock(t);
                op = store_queue_take_read(&shared->queue, t->failing);
                store_thread_unlock(t);
                if (!op)
                        return;
                store_rows_read(t->db, op);
                if (op->r == -EUCLEAN) {
                        store_thread_replace(t);
                        op->r = -EIO;
                }
                store_thread_lock(t);
                store_queue_complete(&shared->queue, op);
                store_shared_wake(shared);
                (void) pthread_cond_broadcast(&shared->answer);
                store_thread_unlock(t);
        }
}

/* The lock is held. Something besides what is queued. */
static bool store_thread_must_write(const StoreThread *t) {
        const StoreShared *shared = t->shared;

        return t->more || shared->limits_changed || shared->holes_changed || !t->mark.known ||
               shared->asked.seq != t->mark.next_seq ||
               shared->asked.incident != t->mark.next_incident;
}

/* The lock is held. Nothing but events waits, and more of them may come until *until_us (0: begin). */
static bool store_thread_gathers(const StoreThread *t, uint64_t *until_us) {
        uint64_t now = store_now_us(CLOCK_MONOTONIC);

        if (store_thread_is_due(t) || store_thread_must_write(t) ||
            store_queue_is_pressing(&t->shared->queue))
                return false;
        if (*until_us == 0)
                *until_us = now + STORE_GATHER_US;
        return now < *until_us;
}

/* Until there is a signal, or that time. */
static void store_thread_sleep(StoreThread *t, uint64_t until_us) {
        struct timespec until = {
                .tv_sec = (time_t) (until_us / USEC_PER_SEC),
                .tv_nsec = (long) (until_us % USEC_PER_SEC) * 1000,
        };

        if (until_us < USEC_INFINITY)
                (void) pthread_cond_timedwait(&t->shared->work, &t->shared->lock, &until);
        else
                (void) pthread_cond_wait(&t->shared->work, &t->shared->lock);
}

/* Waits for work. Returns false when it is time to go. */
static bool store_thread_wait(StoreThread *t, bool *ret_write) {
        StoreShared *shared = t->shared;
        uint64_t gather_us = 0, until_us;
        bool write = false, closing;

        store_thread_lock(t);
        shared->busy_since_us = 0;
        if (store_queue_relax(&shared->queue) || shared->hung)
                store_shared_wake(shared);
        while (!shared->closing) {
                until_us = t->retry_us > 0 ? t->retry_us : USEC_INFINITY;
                write = store_thread_is_due(t) ||
                        (!t->failing &&
                         (store_thread_must_write(t) || store_queue_has_writes(&shared->queue)));
                if (write || store_queue_can_read(&shared->queue, t->failing)) {
                        if (!store_thread_gathers(t, &gather_us))
                                break;
                        if (gather_us < until_us)
                                until_us = gather_us;
                }
                store_thread_sleep(t, until_us);
        }
        closing = shared->closing;
        shared->busy_since_us = store_now_us(CLOCK_MONOTONIC);
        store_thread_unlock(t);
        *ret_write = write;
        return !closing;
}

/* The numbers, before the loop may go on; it may have gone on without us. */
static void store_thread_begin(StoreThread *t) {
        StoreShared *shared = t->shared;
        int r;

        store_thread_lock(t);
        shared->busy_since_us = store_now_us(CLOCK_MONOTONIC);
        store_thread_unlock(t);

        r = store_home_open(&t->home, &t->db, &t->mark);
        if (r < 0) {
                store_thread_use_memory(t);
                store_thread_tell_memory(t);
        }
        store_thread_lock(t);
        if (!shared->started) {
                if (t->mark.known)
                        (void) snprintf(shared->log, sizeof(shared->log), "%s", t->mark.log);
                else
                        store_make_log(shared->log);
                /* In memory nobody knows what the disk has, should it come back. */
                store_shared_set_next(shared, &t->mark, t->home.lost || r < 0);
        }
        store_thread_unlock(t);
        store_thread_adopt(t);
        store_thread_write(t);

        store_thread_lock(t);
        shared->started = true;
        (void) pthread_cond_broadcast(&shared->answer);
        store_thread_unlock(t);
}

static bool store_thread_is_abandoned(StoreThread *t) {
        bool abandoned;

        store_thread_lock(t);
        abandoned = t->shared->abandoned;
        store_thread_unlock(t);
        return abandoned;
}

static bool store_thread_has_writes(StoreThread *t) {
        bool has;

        store_thread_lock(t);
        has = store_queue_has_writes(&t->shared->queue);
        store_thread_unlock(t);
        return has;
}

/* What is queued, one last try if the disk was failing, and the word that all is in order. */
static void store_thread_finish(StoreThread *t) {
        int r = 0;

        /* From memory, if it is worth another log. */
        if (t->db->path)
                t->retry_us = 0;
        else if (t->db->n_events + t->db->n_incidents > 0)
                t->retry_us = 1;
        for (bool last = false; !last && !store_thread_is_abandoned(t);) {
                store_thread_write(t);
                last = t->failing || !store_thread_has_writes(t);
        }
        if (!t->failing && t->db->path && !store_thread_is_abandoned(t)) {
                t->mark.clean = true;
                r = store_db_begin(t->db, true);
                if (r == 0)
                        r = store_db_put_mark(t->db, &t->mark);
                if (r == 0)
                        r = store_db_commit(t->db);
                t->db = r == 0 ? store_db_close(t->db) : store_db_free(t->db);
        }
        t->db = store_db_free(t->db);
        store_home_deinit(&t->home);
}

void *store_thread_run(void *userdata) {
        StoreShared *shared = userdata;
        StoreThread t = { .shared = shared };
        bool write, abandoned;

        store_home_init(&t.home, shared->dir, shared->path);
        store_thread_begin(&t);
        while (store_thread_wait(&t, &write)) {
                if (write)
                        store_thread_write(&t);
                store_thread_read(&t);
        }
        store_thread_finish(&t);

        store_thread_lock(&t);
        shared->finished = true;
        abandoned = shared->abandoned;
        (void) pthread_cond_broadcast(&shared->answer);
        store_thread_unlock(&t);
        if (abandoned)
                (void) store_shared_free(shared);
        return NULL;
}
