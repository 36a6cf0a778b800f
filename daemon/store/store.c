/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop's side of the store: nothing here waits, but for store_open(), store_load_*() and
 * store_close(), each for a given time.
 *
 * What waits for an answer (`done` of a put, the function of a read) is in `waiting`, which only
 * the loop touches. When the disk fails or hangs all of it is answered at once with the error;
 * what was put stays in the queue all the same and is written if the disk comes back in time.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store/store-private.h"
#include "daemon/store/store-thread.h"
#include "policy/util/cleanup.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

/* The thread is taken for hung when one turn takes longer; a turn is 512 rows at most. */
#define STORE_HUNG_US (5 * USEC_PER_SEC)
/* While it hangs it is looked at with a growing pause, up to this. */
#define STORE_HUNG_MAX_US (60 * USEC_PER_SEC)
/* The queue holds some of the largest records at least. */
#define STORE_QUEUE_MIN (4 << 20)
/* SQLite needs some 50 KiB of stack, the sanitizers more; untouched pages cost nothing. */
#define STORE_STACK_SIZE (1 << 20)

static void store_set_health(Store *store, const char *text) {
        if (strcmp(store->health, text) == 0)
                return;
        (void) snprintf(store->health, sizeof(store->health), "%s", text);
        if (store->ops && store->ops->problem)
                store->ops->problem(store->health, store->userdata);
}

/* What is worst is said. */
static void store_update_health(Store *store) {
        char text[sizeof(store->health)] = "ok";
        uint64_t lost;

        store_lock(store);
        lost = store->shared->queue.n_lost;
        if (store->shared->problem[0] != '\0')
                (void) snprintf(text, sizeof(text), "%s", store->shared->problem);
        else if (store->shared->notice[0] != '\0')
                (void) snprintf(text, sizeof(text), "%s", store->shared->notice);
        store_unlock(store);

        if (store->hung_us > 0)
                (void) snprintf(text,
                                sizeof(text),
                                "the disk has not answered for %" PRIu64 " s",
                                store->hung_us / USEC_PER_SEC);
        else if (store->dropping && !store->error)
                (void) snprintf(text,
                                sizeof(text),
                                "the disk is too slow: %" PRIu64 " events and records were not kept",
                                lost);
        store_set_health(store, text);
}

static void store_answer_error(const StoreOp *op, int r) {
        if (op->events_func)
                op->events_func(r, NULL, NULL, 0, op->userdata);
        if (op->incidents_func)
                op->incidents_func(r, NULL, 0, op->userdata);
        if (op->done)
                op->done(r, op->userdata);
}

/* Those who wait are told; their operations go on without them. A callback may put more, which
 * are not ours to answer. */
static void store_answer_waiting(Store *store, int r, bool reads) {
        List list = LIST_INIT(list);

        while (!list_is_empty(&store->waiting)) {
                List *link = store->waiting.next;

                list_remove(link);
                list_append(&list, link);
        }
        while (!list_is_empty(&list)) {
                StoreOp *op = list_entry(list.next, StoreOp, waiting_link);
                StoreOp copy = *op;

                list_remove(&op->waiting_link);
                if (!copy.done && !reads) {
                        list_append(&store->waiting, &op->waiting_link);
                        continue;
                }
                op->done = NULL;
                op->events_func = NULL;
                op->incidents_func = NULL;
                store_answer_error(&copy, r);
        }
}

static void store_answer_events(const StoreOp *op) {
        _cleanup_free_ uint64_t *seqs = NULL;
        _cleanup_free_ char **texts = NULL;

        seqs = calloc(op->n_rows + 1, sizeof(*seqs));
        texts = calloc(op->n_rows + 1, sizeof(*texts));
        if (!seqs || !texts) {
                op->events_func(-ENOMEM, NULL, NULL, 0, op->userdata);
                return;
        }
        for (size_t i = 0; i < op->n_rows; i++) {
                seqs[i] = op->rows[i].number;
                texts[i] = op->rows[i].text;
        }
        op->events_func(0, seqs, texts, op->n_rows, op->userdata);
}

static void store_answer_incidents(const StoreOp *op) {
        _cleanup_free_ json_object **records = NULL;
        size_t n = 0;

        records = calloc(op->n_rows + 1, sizeof(*records));
        if (!records) {
                op->incidents_func(-ENOMEM, NULL, 0, op->userdata);
                return;
        }
        for (size_t i = 0; i < op->n_rows; i++)
                if (op->rows[i].json)
                        records[n++] = op->rows[i].json;
        op->incidents_func(0, records, n, op->userdata);
}

static void store_answer(const StoreOp *op) {
        if (op->r < 0)
                store_answer_error(op, op->r);
        else if (op->events_func)
                store_answer_events(op);
        else if (op->incidents_func)
                store_answer_incidents(op);
        else if (op->done)
                op->done(0, op->userdata);
}

static void store_arm_timer(Store *store, uint64_t us) {
        if (sd_event_source_set_time_relative(store->timer, us) < 0 ||
            sd_event_source_set_enabled(store->timer, SD_EVENT_ONESHOT) < 0)
                return;
        store->timer_armed = true;
}

/* What the thread has said, and whether it says anything. Tells whether it has something to do. */
static bool store_look(Store *store) {
        StoreShared *shared = store->shared;
        uint64_t busy_us = 0;
        bool pending;

        store_lock(store);
        memcpy(store->log, shared->log, sizeof(store->log));
        store->error = shared->error;
        if (shared->busy_since_us > 0)
                busy_us = store_now_us(CLOCK_MONOTONIC) - shared->busy_since_us;
        store->hung_us = busy_us > STORE_HUNG_US ? busy_us : 0;
        shared->hung = store->hung_us > 0;
        pending = busy_us > 0 || shared->queue.bytes > 0;
        store->dropping = shared->queue.full;
        store_unlock(store);

        store_update_health(store);
        return pending;
}

/* Exists while something was queued within the last seconds, or the thread hangs. */
static int store_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Store *store = userdata;
        bool pending;

        store->timer_armed = false;
        pending = store_look(store);
        if (store->hung_us > 0) {
                store_arm_timer(store,
                                store->hung_us < STORE_HUNG_MAX_US ? store->hung_us
                                                                   : STORE_HUNG_MAX_US);
                store_answer_waiting(store, -ETIMEDOUT, true);
        } else if (pending && store->error == 0) {
                store_arm_timer(store, STORE_HUNG_US);
        }
        return 0;
}

static int store_on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Store *store = userdata;
        StoreShared *shared = store->shared;
        size_t n = 0;
        uint64_t count;

        if (read(fd, &count, sizeof(count)) < 0)
                return 0;
        (void) store_look(store);
        /* What callbacks add to the list has its own wakeup. */
        store_lock(store);
        list_foreach(i, &shared->queue.completed)
                n++;
        store_unlock(store);

        if (store->error < 0)
                store_answer_waiting(store, store->error, false);

        for (; n > 0; n--) {
                StoreOp *op;

                store_lock(store);
                op = store_queue_take_completed(&shared->queue, NULL);
                (void) pthread_cond_signal(&shared->work);
                store_unlock(store);
                if (!op)
                        break;
                list_remove(&op->waiting_link);
                store_answer(op);
                store_op_free(op);
        }
        return 0;
}

static void store_on_lost(uint64_t seq, void *userdata) {
        store_shared_add_holes(userdata, seq, seq);
}

void store_push(Store *store, StoreOp *op) {
        StoreShared *shared = store->shared;
        bool full, first;

        if (op->answer)
                list_append(&store->waiting, &op->waiting_link);
        store_lock(store);
        full = shared->queue.full;
        first = !store_queue_has_writes(&shared->queue);
        store_queue_push(&shared->queue, op, store_on_lost, shared);
        if (!list_is_empty(&shared->queue.completed) || full != shared->queue.full)
                store_shared_wake(shared);
        /* Of events that gather the thread knows since the first. */
        if (first || store_queue_is_pressing(&shared->queue))
                (void) pthread_cond_signal(&shared->work);
        store_unlock(store);

        if (!store->timer_armed)
                store_arm_timer(store, STORE_HUNG_US);
}

static void store_clamp_limits(StoreLimits *ret, const StoreLimits *limits) {
        *ret = *limits;
        if (ret->queue_bytes < STORE_QUEUE_MIN)
                ret->queue_bytes = STORE_QUEUE_MIN;
        if (ret->bytes > 0 && ret->bytes < STORE_BYTES_MIN)
                ret->bytes = STORE_BYTES_MIN;
}

void store_set_limits(Store *store, const StoreLimits *limits) {
        StoreShared *shared = store->shared;

        store_lock(store);
        store_clamp_limits(&shared->limits, limits);
        shared->queue.limit = shared->limits.queue_bytes;
        shared->limits_changed = true;
        (void) pthread_cond_signal(&shared->work);
        store_unlock(store);
}

/* Every signal is the loop's. */
static int store_start_thread(Store *store) {
        pthread_attr_t attr;
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) pthread_attr_init(&attr);
        (void) pthread_attr_setstacksize(&attr, STORE_STACK_SIZE);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&store->thread, &attr, store_thread_run, store->shared);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) pthread_attr_destroy(&attr);
        if (r > 0)
                return -r;
        (void) pthread_setname_np(store->thread, "store");
        return 0;
}

/* The numbers of the disk, or others if it does not tell them in time. */
static void store_wait_for_start(Store *store) {
        StoreShared *shared = store->shared;
        struct timespec until = store_get_deadline(store->wait_us);
        StoreMark unknown = {};
        int r = 0;

        store_lock(store);
        while (!shared->started && r == 0)
                r = pthread_cond_timedwait(&shared->answer, &shared->lock, &until);
        if (!shared->started) {
                store_make_log(shared->log);
                store_shared_set_next(shared, &unknown, true);
                shared->started = true;
                shared->hung = true;
                store->hung_us = store->wait_us + 1;
        }
        store->next = shared->next;
        store->error = shared->error;
        memcpy(store->log, shared->log, sizeof(store->log));
        store_unlock(store);
        store_update_health(store);
}

static Store *store_free(Store *store) {
        sd_event_source_disable_unref(store->wake);
        sd_event_source_disable_unref(store->timer);
        free(store);
        return NULL;
}
DEFINE_CLEANUP(Store *, store_free);

int store_open(Store **ret,
               sd_event *event,
               const char *state_dir,
               const StoreLimits *limits,
               uint64_t wait_us,
               const StoreOps *ops,
               void *userdata) {
        _cleanup_(store_freep) Store *store = NULL;
        _cleanup_(store_shared_freep) StoreShared *shared = NULL;
        int r;

        store = malloc(sizeof(*store));
        if (!store)
                return -ENOMEM;
        *store = (Store){ .ops = ops, .userdata = userdata, .wait_us = wait_us, .health = "ok" };
        list_init(&store->waiting);
        r = store_shared_new(&shared, state_dir);
        if (r < 0)
                return r;
        store_clamp_limits(&shared->limits, limits);
        shared->queue.limit = shared->limits.queue_bytes;
        store->shared = shared;

        r = sd_event_add_io(event, &store->wake, shared->wake_fd, EPOLLIN, store_on_wake, store);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event,
                                       &store->timer,
                                       CLOCK_MONOTONIC,
                                       STORE_HUNG_US,
                                       USEC_PER_SEC,
                                       store_on_timer,
                                       store);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(store->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(store->wake, "store");

        r = store_start_thread(store);
        if (r < 0)
                return r;
        TAKE_PTR(shared);
        store_wait_for_start(store);
        if (store->hung_us > 0)
                store_arm_timer(store, STORE_HUNG_US);
        *ret = TAKE_PTR(store);
        return 0;
}

Store *store_close(Store *store, uint64_t wait_us) {
        struct timespec until = store_get_deadline(wait_us);
        StoreShared *shared;
        bool finished;
        int r = 0;

        if (!store)
                return NULL;
        shared = store->shared;
        store_lock(store);
        shared->closing = true;
        /* No more numbers are given: the mark comes down to the last. */
        shared->asked = store->next;
        (void) pthread_cond_signal(&shared->work);
        while (!shared->finished && r == 0)
                r = pthread_cond_timedwait(&shared->answer, &shared->lock, &until);
        finished = shared->finished;
        shared->abandoned = !finished;
        store_unlock(store);

        /* What completed is not told any more. */
        if (finished) {
                (void) pthread_join(store->thread, NULL);
                (void) store_shared_free(shared);
        } else {
                (void) pthread_detach(store->thread);
        }
        return store_free(store);
}

const char *store_get_health(const Store *store) {
        return store->health;
}

uint64_t store_get_lost(const Store *store) {
        uint64_t lost;

        store_lock(store);
        lost = store->shared->queue.n_lost;
        store_unlock(store);
        return lost;
}
