/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One way in, from the connection to its run and back: waiting, connecting, attaching, joined. The
 * one difficulty is that whatever goes wrong goes wrong inside somebody's callback; so a way in
 * trouble closes its client, and everything ends at way_fail(), called from the loop.
 *
 * A path is tried again after a pause that doubles, and at once when its socket appears. Where that
 * is watched for, nothing is tried while there is no socket.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/qmp-path.h"
#include "daemon/machine/crowd.h"
#include "daemon/machine/machines-private.h"

#define WAY_PAUSE_MIN_US (1 * USEC_PER_SEC)
#define WAY_PAUSE_MAX_US (60 * USEC_PER_SEC)
/* A run that was joined for so long was no failure: the next pause is short again. */
#define WAY_PROVEN_US (60 * USEC_PER_SEC)

typedef struct HeldEvent {
        List held;
        char *name;
        json_object *data;
        uint64_t time_us;
} HeldEvent;

static HeldEvent *held_event_free(Way *way, HeldEvent *event) {
        list_remove(&event->held);
        way->n_held--;
        free(event->name);
        json_object_put(event->data);
        free(event);
        return NULL;
}

static void way_hold(Way *way, const QmpClientEvent *event) {
        HeldEvent *held;

        held = way->n_held < WAY_HELD_MAX ? calloc(1, sizeof(*held)) : NULL;
        if (held)
                held->name = strdup(event->name);
        if (!held || !held->name) {
                free(held);
                way->n_unheld++;
                return;
        }
        held->data = json_object_get(event->data);
        held->time_us = event->time_us;
        list_append(&way->held, &held->held);
        way->n_held++;
}

static void way_set_state(Way *way, WayState state) {
        way->machines->n_ways_in[way->state]--;
        way->machines->n_ways_in[state]++;
        way->state = state;
        crowd_look(way->machines);
}

static void way_problem(Way *way, const char *text) {
        problems_set(&way->machines->problems, way->key, text);
}

static int way_dispatch_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Way *way = userdata;

        way->retry = sd_event_source_disable_unref(way->retry);
        way_kick(way);
        return 0;
}

/* Three quarters to five quarters of it: a thousand guests lost at once don't come back at once. */
static uint64_t way_jitter(uint64_t us) {
        uint32_t random = 0;

        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
                return us;
        return us * 3 / 4 + us / 2 * (random % 1024) / 1024;
}

/* When to try again; may free the way. `r`: how the last attempt ended. */
static void way_schedule(Way *way, int r) {
        bool watched = way->kind == WAY_FOUND || machines_is_watched(way->machines, way->key);

        way_set_state(way, WAY_WAITING);
        if (way->kind == WAY_CALLED || (way->kind == WAY_FOUND && r == -ENOENT)) {
                way_free(way);
                return;
        }
        if (watched && (r == -ENOENT || r == -ENOTDIR))
                return;
        /* Nobody listens, for longer than it takes to start: left behind by a QEMU that was killed.
         * A new one makes a new socket. */
        if (watched && r == -ECONNREFUSED && way->pause_us >= WAY_PAUSE_MAX_US)
                return;

        way->pause_us = way->pause_us == 0 ? WAY_PAUSE_MIN_US : way->pause_us * 2;
        if (way->pause_us > WAY_PAUSE_MAX_US)
                way->pause_us = WAY_PAUSE_MAX_US;
        way->retry = sd_event_source_disable_unref(way->retry);
        (void) sd_event_add_time_relative(way->machines->event,
                                          &way->retry,
                                          CLOCK_BOOTTIME,
                                          way_jitter(way->pause_us),
                                          0,
                                          way_dispatch_retry,
                                          way);
}

/* Back to nothing but the path. */
static void way_reset(Way *way) {
        if (way->state == WAY_CONNECTING && way->machines->kernel)
                kernel_client_cancel(way->machines->kernel, way);
        way->inquiry = qmp_inquiry_free(way->inquiry);
        way->client = qmp_client_free(way->client);
        list_foreach_safe(i, next, &way->held)
                held_event_free(way, list_entry(i, HeldEvent, held));
        way->n_unheld = 0;
        if (way->state == WAY_JOINED &&
            machines_now(way->machines, CLOCK_BOOTTIME) - way->joined_us >= WAY_PROVEN_US)
                way->pause_us = 0;
}

/* For whoever asks about the machine. NULL: nothing is wrong. */
static void way_set_why(Way *way, const char *why, bool gone) {
        free(way->why);
        way->why = why ? strdup(why) : NULL;
        way->gone = gone;
}

/* An attempt, or a connection, has ended. May free the way. */
static void way_fail(Way *way, int r, const char *why) {
        bool nobody = r == -ENOENT || r == -ENOTDIR || r == -ECONNREFUSED;

        way_set_why(way, why, nobody || way->state == WAY_JOINED);
        if (way->state == WAY_JOINED) {
                free(way->led_to);
                way->led_to = strdup(way->run->name);
                run_part(way->run, way, why);
        } else
                way_problem(way, nobody ? NULL : why); /* a guest that does not run is none */
        way_reset(way);
        way_schedule(way, r);
}

void way_leave(Way *way) {
        way->run = NULL;
        way_reset(way);
        way_schedule(way, 0);
}

static void way_inquired(int r, QmpIdentity *identity, const char *error, void *userdata) {
        Way *way = userdata;
        _cleanup_free_ char *refusal = NULL;

        if (r < 0) {
                qmp_client_close(way->client, error);
                return;
        }
        refusal = machines_admit(way->machines, way, identity);
        if (refusal) {
                qmp_client_close(way->client, refusal);
                return;
        }
        way->inquiry = qmp_inquiry_free(way->inquiry);
        way_set_state(way, WAY_JOINED);
        way->joined_us = machines_now(way->machines, CLOCK_BOOTTIME);
        way_set_why(way, NULL, false);
        free(TAKE_PTR(way->led_to));
        if (way->n_unheld > 0) {
                char text[80];

                (void) snprintf(text,
                                sizeof(text),
                                "%u events were lost while it was attached",
                                way->n_unheld);
                way_problem(way, text);
        } else
                way_problem(way, NULL);

        run_join(way->run, way, identity);
        list_foreach_safe(i, next, &way->held) {
                HeldEvent *held = list_entry(i, HeldEvent, held);

                if (way->run->way == way)
                        run_take_event(way->run,
                                       &(QmpClientEvent){ .name = held->name,
                                                          .data = held->data,
                                                          .time_us = held->time_us });
                held_event_free(way, held);
        }
}

static void way_ready(QmpClient *client, void *userdata) {
        Way *way = userdata;

        if (qmp_inquiry_new(&way->inquiry, client, way_inquired, way) < 0)
                qmp_client_close(client, "it could not be asked who it is");
}

static void way_event(QmpClient *client, const QmpClientEvent *event, void *userdata) {
        Way *way = userdata;

        if (way->state == WAY_ATTACHING)
                way_hold(way, event);
        else if (way->state == WAY_JOINED && way->run->way == way)
                run_take_event(way->run, event);
}

static void way_closed(QmpClient *client, const char *why, void *userdata) {
        Way *way = userdata;

        way_fail(way, -ECONNABORTED, why);
}

static const QmpClientOps way_client_ops = {
        .ready = way_ready,
        .event = way_event,
        .closed = way_closed,
};

/* Takes the socket. */
static int way_attach(Way *way, int fd) {
        int r;

        r = qmp_client_new(&way->client, way->machines->event, fd, &way_client_ops, way);
        if (r < 0)
                return r;
        way_set_state(way, WAY_ATTACHING);
        return 0;
}

static void way_connected(int r, int fd, const char *error, void *userdata) {
        Way *way = userdata;
        _cleanup_fd_ int owned = fd;
        socklen_t size = sizeof(way->peer);

        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &way->peer, &size) < 0)
                r = -errno;
        if (r == 0)
                r = way_attach(way, TAKE_FD(owned));
        if (r < 0)
                way_fail(way, r, error ? error : strerror(-r));
}

void way_kick(Way *way) {
        struct KernelClient *kernel = way->machines->kernel;
        _cleanup_free_ char *error = NULL;
        int r, fd = -1;

        if (way->state != WAY_WAITING || way->kind == WAY_CALLED)
                return;
        way->retry = sd_event_source_disable_unref(way->retry);
        if (!crowd_has_room(way->machines)) {
                way_set_why(way, "tocsind has no open files left for it", false);
                crowd_add(way);
                return;
        }
        crowd_remove(way);
        way_set_state(way, WAY_CONNECTING);
        if (!kernel) {
                r = qmp_path_connect(way->key, &fd, &error);
                way_connected(r, fd, error, way);
                return;
        }
        r = kernel_client_connect_qmp(kernel, way->key, way_connected, way);
        if (r < 0)
                way_fail(way, r, strerror(-r));
}

int way_set_name(Way *way, const char *name) {
        char *copy = NULL;

        if (name) {
                copy = strdup(name);
                if (!copy)
                        return -ENOMEM;
        }
        free(way->name);
        way->name = copy;
        return 0;
}

static int way_new(Machines *machines, WayKind kind, char *key, Way **ret) {
        Way *way;

        if (machines->n_ways >= MACHINES_WAYS_MAX)
                return -EUSERS;
        way = calloc(1, sizeof(*way));
        if (!way)
                return -ENOMEM;
        way->machines = machines;
        way->kind = kind;
        way->key = key;
        list_init(&way->held);
        list_init(&way->run_ways);
        list_init(&way->crowd);
        list_append(&machines->ways, &way->ways);
        machines->n_ways++;
        machines->n_ways_in[WAY_WAITING]++;
        *ret = way;
        return 0;
}

int way_new_path(Machines *machines, WayKind kind, const char *path, const char *name, Way **ret) {
        _cleanup_free_ char *key = strdup(path);
        Way *way;
        int r;

        if (!key)
                return -ENOMEM;
        r = way_new(machines, kind, key, &way);
        if (r < 0)
                return r;
        key = NULL;
        r = index_add(&machines->ways_by_path, &way->by_path, way->key);
        if (r == 0)
                r = way_set_name(way, name);
        if (r < 0) {
                way_free(way);
                return r;
        }
        *ret = way;
        return 0;
}

int way_new_called(Machines *machines, int fd, const struct ucred *peer) {
        _cleanup_fd_ int owned = fd;
        _cleanup_free_ char *key = NULL;
        Way *way;
        int r;

        if (asprintf(&key, ATTACH_SOCKET_NAME " pid %d", peer->pid) < 0) {
                key = NULL;
                return -ENOMEM;
        }
        r = way_new(machines, WAY_CALLED, key, &way);
        if (r < 0)
                return r;
        key = NULL;
        way->peer = *peer;
        r = way_attach(way, TAKE_FD(owned));
        if (r < 0)
                way_free(way);
        return r;
}

Way *way_free(Way *way) {
        if (!way)
                return NULL;
        if (way->state == WAY_JOINED && way->run)
                run_part(way->run, way, "it is no longer configured");
        way_reset(way);
        sd_event_source_disable_unref(way->retry);
        index_remove(&way->machines->ways_by_path, &way->by_path);
        list_remove(&way->ways);
        crowd_remove(way);
        way->machines->n_ways--;
        way->machines->n_ways_in[way->state]--;
        crowd_look(way->machines);
        free(way->key);
        free(way->name);
        free(way->led_to);
        free(way->why);
        free(way);
        return NULL;
}
