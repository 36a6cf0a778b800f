/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers of events and incidents, and what became of those that are not in the log.
 *
 * The difficulty is that no number may be given twice, whatever dies, while giving one may not wait
 * for the disk. The argument:
 *
 * 1. The file holds a mark. Numbers are given below the mark only, and a new mark counts when it
 *    was committed with an fsync(). After an unclean end numbers go on from the mark. So
 *    a number that was given is below the mark of its life, hence below the first of the next.
 * 2. After a clean end numbers go on from the last one: the mark is lowered to it in the last
 *    transaction, when no more are given, and raised again before the first is given.
 * 3. A disk that does not keep up: when there are no marked numbers left, numbers leap to
 *    the time, in microseconds since the Epoch, and are counted on from there. Marks are far below
 *    (each is at most twice STORE_*_AHEAD above a number given), and a later leap goes to a later
 *    time, since nobody gives a million numbers a second. This holds as long as the clock of the
 *    host is not set back over the time between two such leaps with an unclean end between. Below
 *    2^53 such numbers stay exact in any JSON reader until the year 2255.
 * 4. A file that can't be read tells no mark: numbers start with such a leap, and the log is
 *    a new one. If its mark can be read, they go on from there.
 */
#include <time.h>

#include "daemon/store/store-private.h"

const char *store_get_log(const Store *store) {
        return store->log;
}

/* *asked is raised in time for the thread to mark more. */
static uint64_t store_next_number(uint64_t *next,
                                  bool *leapt,
                                  uint64_t reserved,
                                  uint64_t *asked,
                                  uint64_t ahead) {
        uint64_t now;

        if (*next < reserved) {
                *leapt = false;
        } else if (!*leapt) {
                now = store_now_us(CLOCK_REALTIME);
                *leapt = true;
                if (*next < now)
                        *next = now;
        }
        if (*asked < *next + ahead)
                *asked = *next + 2 * ahead;
        return (*next)++;
}

uint64_t store_next_incident(Store *store) {
        StoreShared *shared = store->shared;
        uint64_t asked, number;

        store_lock(store);
        asked = shared->asked.incident;
        number = store_next_number(&store->next.incident,
                                   &store->incident_leapt,
                                   shared->reserved.incident,
                                   &shared->asked.incident,
                                   STORE_INCIDENTS_AHEAD);
        if (asked != shared->asked.incident)
                (void) pthread_cond_signal(&shared->work);
        store_unlock(store);
        return number;
}

uint64_t store_next_seq(Store *store) {
        StoreShared *shared = store->shared;
        uint64_t asked, first, number;

        store_lock(store);
        asked = shared->asked.seq;
        first = store->next.seq;
        number = store_next_number(&store->next.seq,
                                   &store->seq_leapt,
                                   shared->reserved.seq,
                                   &shared->asked.seq,
                                   STORE_EVENTS_AHEAD);
        if (number > first && first > shared->next.seq)
                store_shared_add_holes(shared, first, number - 1);
        if (asked != shared->asked.seq)
                (void) pthread_cond_signal(&shared->work);
        store_unlock(store);
        return number;
}

uint64_t store_last_seq(const Store *store) {
        return store->next.seq - 1;
}

uint64_t store_first_seq(const Store *store) {
        const StoreShared *shared = store->shared;
        uint64_t first;

        store_lock(store);
        first = shared->first_event;
        /* Empty: what comes next will be the first. */
        if (first == 0)
                first = shared->last_event > 0 ? shared->last_event + 1 : shared->next.seq;
        store_unlock(store);
        return first;
}

const char *store_explain_missing(const Store *store, uint64_t seq) {
        const StoreHole *hole;
        const char *reason = "expired";

        store_lock(store);
        hole = store_holes_find(&store->shared->holes, seq);
        if (hole)
                reason = store_hole_reason_to_string(hole->reason);
        store_unlock(store);
        return reason;
}
