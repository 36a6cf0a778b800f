/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * All that the loop and the writer thread share. The lock is never held over anything that may
 * wait, so the loop may take it at any time.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store-db.h"
#include "daemon/store/store-holes.h"
#include "daemon/store/store-home.h"
#include "daemon/store/store-queue.h"

/* Numbers marked on disk as used before they are: at least so many, and at most twice as many,
 * are ahead of the one given last. An unclean end leaps over them. 10,000 guests that panic at once
 * (design section 10) must find their incidents' numbers there, and some events each. */
#define STORE_INCIDENTS_AHEAD 10240
#define STORE_EVENTS_AHEAD (8 * STORE_INCIDENTS_AHEAD)

typedef struct StoreNumbers {
        uint64_t seq, incident;
} StoreNumbers;

/* Owned by both sides; the last one to leave frees it (a hung thread leaves after the loop). */
typedef struct StoreShared {
        pthread_mutex_t lock;
        pthread_cond_t work;   /* for the thread */
        pthread_cond_t answer; /* for the few calls that wait for it */
        int wake_fd;           /* eventfd; for the loop */
        char *dir, *path;

        StoreQueue queue;
        StoreLimits limits;
        bool limits_changed;

        /* Numbers: see store.c. Those below `reserved` are marked on disk as used. */
        char log[STORE_LOG_SIZE];
        StoreNumbers next; /* at the start: the first to give */
        StoreNumbers asked, reserved;
        StoreHoles holes;
        bool holes_changed;
        uint64_t first_event; /* oldest event kept; 0: none */
        uint64_t last_event;  /* newest written */

        bool started; /* `log` and `next` are valid */
        bool closing;
        bool abandoned; /* the loop has gone without waiting */
        bool finished;
        bool hung; /* the loop takes the thread for hung and wants to hear when it isn't */

        uint64_t busy_since_us;           /* CLOCK_MONOTONIC; 0: waiting for work */
        int error;                        /* writes fail with this now */
        char problem[STORE_PROBLEM_SIZE]; /* goes away */
        char notice[STORE_PROBLEM_SIZE];  /* stays: what was set aside */
} StoreShared;

int store_shared_new(StoreShared **ret, const char *dir);
StoreShared *store_shared_free(StoreShared *shared);
DEFINE_CLEANUP(StoreShared *, store_shared_free);
/* The lock is held for the following. */
/* The first numbers to give; `lost`: there were others before, of which nothing may be known. */
void store_shared_set_next(StoreShared *shared, const StoreMark *mark, bool lost);
/* Event numbers that will not be in the log. */
void store_shared_add_holes(StoreShared *shared, uint64_t first, uint64_t last);
void store_shared_wake(StoreShared *shared);

void store_make_log(char log[static STORE_LOG_SIZE]);
uint64_t store_now_us(clockid_t clock);
struct timespec store_get_deadline(uint64_t wait_us); /* CLOCK_MONOTONIC */
