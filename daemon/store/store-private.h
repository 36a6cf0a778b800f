/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The loop's side of the store, for the files that make it up. */
#include <systemd/sd-event.h>

#include "daemon/store/store-shared.h"
#include "daemon/store/store.h"

struct Store {
        StoreShared *shared;
        pthread_t thread;
        sd_event *event;
        sd_event_source *wake, *timer;
        const StoreOps *ops;
        void *userdata;
        uint64_t wait_us;

        StoreNumbers next;
        bool seq_leapt, incident_leapt; /* beyond the mark */
        List waiting;

        bool timer_armed;
        uint64_t hung_us; /* the thread has hung for so long; 0: it does not */
        int error;        /* writes fail with this now */
        bool dropping;    /* the queue is full */
        char log[STORE_LOG_SIZE];
        char health[STORE_PROBLEM_SIZE + 64];
};

static inline void store_lock(const Store *store) {
        (void) pthread_mutex_lock(&store->shared->lock);
}

static inline void store_unlock(const Store *store) {
        (void) pthread_mutex_unlock(&store->shared->lock);
}

/* Queues the operation, which is the queue's from here on. */
void store_push(Store *store, StoreOp *op);
