/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waits are counted on CLOCK_MONOTONIC: a host that was suspended has no hung disk. Numbers that
 * leap take CLOCK_REALTIME, the one that goes on over boots.
 */
#include "daemon/store/store-shared.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

#include "policy/util/moment.h"

uint64_t store_now_us(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

struct timespec store_get_deadline(uint64_t wait_us) {
        uint64_t us = store_now_us(CLOCK_MONOTONIC) + wait_us;

        return (struct timespec){
                .tv_sec = (time_t) (us / USEC_PER_SEC),
                .tv_nsec = (long) (us % USEC_PER_SEC) * 1000,
        };
}

void store_make_log(char log[static STORE_LOG_SIZE]) {
        sd_id128_t id = SD_ID128_NULL;

        (void) sd_id128_randomize(&id);
        (void) snprintf(log, STORE_LOG_SIZE, SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
}

int store_shared_new(StoreShared **ret, const char *dir) {
        _cleanup_(store_shared_freep) StoreShared *shared = NULL;
        pthread_condattr_t attr;

        shared = calloc(1, sizeof(*shared));
        if (!shared)
                return -ENOMEM;
        (void) pthread_mutex_init(&shared->lock, NULL);
        (void) pthread_condattr_init(&attr);
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&shared->work, &attr);
        (void) pthread_cond_init(&shared->answer, &attr);
        (void) pthread_condattr_destroy(&attr);
        store_queue_init(&shared->queue);
        shared->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (shared->wake_fd < 0)
                return -errno;
        shared->dir = strdup(dir);
        if (!shared->dir || asprintf(&shared->path, "%s/tocsin.db", dir) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(shared);
        return 0;
}

StoreShared *store_shared_free(StoreShared *shared) {
        if (!shared)
                return NULL;
        store_queue_deinit(&shared->queue);
        (void) pthread_cond_destroy(&shared->work);
        (void) pthread_cond_destroy(&shared->answer);
        (void) pthread_mutex_destroy(&shared->lock);
        if (shared->wake_fd >= 0)
                (void) close(shared->wake_fd);
        free(shared->dir);
        free(shared->path);
        free(shared);
        return NULL;
}

void store_shared_wake(StoreShared *shared) {
        static const uint64_t one = 1;

        /* EAGAIN: it has been woken four billion times and has not looked. */
        if (write(shared->wake_fd, &one, sizeof(one)) < 0)
                return;
}

void store_shared_set_next(StoreShared *shared, const StoreMark *mark, bool lost) {
        uint64_t first = lost ? store_now_us(CLOCK_REALTIME) : 1;

        shared->next.seq = mark->known ? mark->next_seq : first;
        shared->next.incident = mark->known ? mark->next_incident : first;
        shared->asked.seq = shared->next.seq + 2 * STORE_EVENTS_AHEAD;
        shared->asked.incident = shared->next.incident + 2 * STORE_INCIDENTS_AHEAD;
}

void store_shared_add_holes(StoreShared *shared, uint64_t first, uint64_t last) {
        store_holes_add(&shared->holes, first, last, STORE_HOLE_STORE);
        shared->holes_changed = true;
}
