/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One life of a guest: it begins when its process is known, and ends with that process, never with a
 * connection. The one difficulty is the order at the end: a QEMU's last events lie in its socket
 * when the process is gone, and its socket ends a moment before the process does. So both ends wait
 * a moment for the other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/machine/crowd.h"
#include "daemon/machine/machines-private.h"

/* After the last bytes (design section 5), and for a process to follow its socket. */
#define RUN_SETTLE_US (100 * USEC_PER_MSEC)
/* Somebody else may hold the socket of a process that is gone, and talk on. */
#define RUN_DRAIN_US (5 * USEC_PER_SEC)
/* A large guest's memory takes a while to be given back, after its virtual machine was closed. */
#define RUN_CLOSE_US (10 * USEC_PER_SEC)

Observation run_observation(const Run *run, ObservationType type) {
        return (Observation){
                .type = type,
                .machine = run->name,
                .run = run->id,
                .time_us = machines_now(run->machines, CLOCK_REALTIME),
        };
}

void run_observe(const Run *run, const Observation *observation) {
        run->machines->ops->observe(observation, run->machines->userdata);
}

static void run_settle(Run *run);

void run_observe_attached(Run *run, RunState state, bool running) {
        Observation o = run_observation(run, OBSERVATION_ATTACHED);

        o.state = state;
        o.running = running;
        o.backend = run->backend->type;
        o.abilities = run->abilities;
        o.shown = run->shown;
        o.uuid = run->uuid;
        o.version = run->version;
        o.pid = run->process.pid;
        run_observe(run, &o);
}

static void run_observe_lost(Run *run) {
        _cleanup_free_ char *why = TAKE_PTR(run->lost_why);
        Observation o = run_observation(run, OBSERVATION_DETACHED);

        o.text = why ? why : "the connection was closed";
        run_observe(run, &o);
}

static int run_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Run *run = userdata;
        uint64_t now = machines_now(run->machines, CLOCK_BOOTTIME);

        run->timer = sd_event_source_disable_unref(run->timer);
        if (run->exited_us == 0 && !run->closed) {
                if (!run->way)
                        run_observe_lost(run);
                return 0;
        }
        if (run->way && !qmp_client_is_closed(run->way->client) &&
            now - qmp_client_get_heard(run->way->client) < RUN_SETTLE_US &&
            now - run->exited_us < RUN_DRAIN_US)
                run_settle(run);
        else
                run_end(run);
        return 0;
}

static void run_wait(Run *run, uint64_t us) {
        run->timer = sd_event_source_disable_unref(run->timer);
        (void) sd_event_add_time_relative(run->machines->event,
                                          &run->timer,
                                          CLOCK_BOOTTIME,
                                          us,
                                          USEC_PER_MSEC,
                                          run_dispatch_timer,
                                          run);
}

static void run_settle(Run *run) {
        run_wait(run, RUN_SETTLE_US);
}

static int run_dispatch_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Run *run = userdata;

        run->exit = sd_event_source_disable_unref(run->exit);
        run->exited_us = machines_now(run->machines, CLOCK_BOOTTIME);
        run_settle(run);
        return 0;
}

bool run_has_exited(const Run *run) {
        return run->exited_us > 0 || process_has_ended(&run->process);
}

/* A spare takes over: where the guest stands has to be asked again. */
static void run_take_promoted(int r, json_object *ret, const char *error, void *userdata) {
        Run *run = userdata;
        RunState state;
        bool running;

        if (r == 0 && qmp_identity_read_status(ret, &state, &running) == 0)
                run_observe_attached(run, state, running);
}

static bool run_promote(Run *run) {
        list_foreach(i, &run->ways) {
                Way *way = list_entry(i, Way, run_ways);

                if (qmp_client_call(way->client,
                                    "query-status",
                                    NULL,
                                    -1,
                                    QMP_CLIENT_NEGOTIATION_US,
                                    run_take_promoted,
                                    run) < 0)
                        continue;
                run->way = way;
                silence_begin(run);
                return true;
        }
        return false;
}

void run_join(Run *run, Way *way, const QmpIdentity *identity) {
        list_append(&run->ways, &way->run_ways);
        if (run->way)
                return; /* a spare, kept quiet */

        run->way = way;
        run->abilities = identity->abilities | ABILITY_KILL;
        free(TAKE_PTR(run->lost_why));
        if (run->exited_us == 0)
                run->timer = sd_event_source_disable_unref(run->timer);
        run_observe_attached(run, identity->state, identity->running);
        silence_begin(run);
}

void run_part(Run *run, Way *way, const char *why) {
        list_remove(&way->run_ways);
        way->run = NULL;
        if (run->way != way)
                return;
        run->way = NULL;
        silence_end(run);
        if (run->exited_us > 0 || run_promote(run))
                return;
        free(run->lost_why);
        run->lost_why = strdup(why);
        run_settle(run);
}

void run_take_event(Run *run, const QmpClientEvent *event) {
        Observation o = run_observation(run, OBSERVATION_EVENT);

        if (event->time_us > 0)
                o.time_us = event->time_us;
        o.event = event->name;
        o.data = event->data;
        run_observe(run, &o);
}

void run_end(Run *run) {
        Observation o;

        if (run->way)
                qmp_client_drain(run->way->client);
        list_foreach_safe(i, next, &run->ways) {
                Way *way = list_entry(i, Way, run_ways);

                list_remove(&way->run_ways);
                if (run->way == way)
                        run->way = NULL;
                way_leave(way);
        }
        o = run_observation(run, OBSERVATION_GONE);
        o.signal = run->signal > 0 ? run->signal : process_get_end_signal(&run->process);
        o.crashed = process_is_crash(o.signal);
        run_observe(run, &o);
        run_free(run);
}

void run_close(Run *run) {
        /* most often because its process ends, which is told in a moment: then it is known how */
        run->closed = true;
        if (run->exited_us == 0)
                run_wait(run, RUN_CLOSE_US);
}

void run_withdraw(Run *run, const char *name) {
        _cleanup_free_ char *text = NULL;
        Observation o = run_observation(run, OBSERVATION_WITHDRAWN);

        if (asprintf(&text, "its process is machine %s", name) < 0)
                text = NULL;
        o.text = text;
        run_observe(run, &o);
        run_free(run);
}

/* What an answer says is an observation too, before it is an answer. */
typedef struct RunCall {
        Run *run;
        BackendVerb verb;
        BackendDone done;
        void *userdata;
} RunCall;

static void run_call_done(int r, json_object *ret, const char *error, void *userdata) {
        RunCall call = *(RunCall *) userdata;
        Observation o;

        free(userdata);
        if (r == 0 && call.verb == BACKEND_QUERY_STATUS) {
                o = run_observation(call.run, OBSERVATION_STATUS);
                if (qmp_identity_read_status(ret, &o.state, &o.running) == 0)
                        run_observe(call.run, &o);
        } else if (r == 0 && call.verb == BACKEND_CRASH_INFO) {
                o = run_observation(call.run, OBSERVATION_CRASH_INFO);
                o.data = ret;
                run_observe(call.run, &o);
        }
        call.done(r, ret, error, call.userdata);
}

/* The process is the run's, not the backend's: whatever protocol it speaks, it is ended alike. */
typedef struct RunKill {
        BackendDone done;
        void *userdata;
} RunKill;

static void run_killed(int r, int fd, const char *text, void *userdata) {
        RunKill kill = *(RunKill *) userdata;

        free(userdata);
        kill.done(r < 0 ? -EREMOTEIO : 0, NULL, text, kill.userdata);
}

static int run_kill(Run *run, const BackendCall *call) {
        KernelProcess process = { run->process.pid, run->process.start_time };
        RunKill *kill;
        int r;

        if (!run->machines->kernel)
                return -EOPNOTSUPP;
        kill = malloc(sizeof(*kill));
        if (!kill)
                return -ENOMEM;
        *kill = (RunKill){ .done = call->done, .userdata = call->userdata };
        r = kernel_client_kill(run->machines->kernel,
                               &process,
                               qmp_client_get_fd(run->way->client),
                               run_killed,
                               kill);
        if (r < 0)
                free(kill);
        return r;
}

int run_command(Run *run, const BackendCall *call) {
        BackendCall observed = *call;
        RunCall *run_call;
        int r;

        if (!run->way)
                return -ENOTCONN;
        if (call->verb == BACKEND_KILL)
                return run_kill(run, call);
        if (call->verb != BACKEND_QUERY_STATUS && call->verb != BACKEND_CRASH_INFO)
                return run->backend->command(run->way->client, run->abilities, call);

        run_call = malloc(sizeof(*run_call));
        if (!run_call)
                return -ENOMEM;
        *run_call = (RunCall){
                .run = run, .verb = call->verb, .done = call->done, .userdata = call->userdata
        };
        observed.done = run_call_done;
        observed.userdata = run_call;
        r = run->backend->command(run->way->client, run->abilities, &observed);
        if (r < 0)
                free(run_call);
        return r;
}

static char *run_copy(const char *s, bool *failed) {
        char *copy = s ? strdup(s) : NULL;

        if (s && !copy)
                *failed = true;
        return copy;
}

/* Takes the process when it succeeds. */
int run_new(Machines *machines, const char *name, QmpIdentity *identity, Process *process, Run **ret) {
        bool failed = false;
        Run *run;
        int r;

        run = calloc(1, sizeof(*run));
        if (!run)
                return -ENOMEM;
        run->machines = machines;
        run->backend = &qmp_backend;
        run->process.pidfd = -1;
        (void) snprintf(run->pid, sizeof(run->pid), "%d", process->pid);
        list_init(&run->ways);
        list_append(&machines->runs, &run->runs);
        machines->n_runs++;
        run->name = run_copy(name, &failed);
        run->shown = run_copy(identity->name ? identity->name : name, &failed);
        run->uuid = run_copy(identity->uuid, &failed);
        run->version = run_copy(identity->version, &failed);
        r = failed ? -ENOMEM : process_get_run_id(process, run->id);
        if (r == 0)
                r = index_add(&machines->runs_by_name, &run->by_name, run->name);
        if (r == 0)
                r = index_add(&machines->runs_by_id, &run->by_id, run->id);
        /* taken when a number was used again at once: then it is not known how this one ends */
        if (r == 0)
                (void) index_add(&machines->runs_by_pid, &run->by_pid, run->pid);
        if (r == 0)
                r = sd_event_add_io(machines->event,
                                    &run->exit,
                                    process->pidfd,
                                    EPOLLIN | EPOLLET,
                                    run_dispatch_exit,
                                    run);
        if (r < 0) {
                run_free(run);
                return r;
        }
        run->process = *process;
        process->pidfd = -1;
        *ret = run;
        return 0;
}

Run *run_free(Run *run) {
        if (!run)
                return NULL;
        index_remove(&run->machines->runs_by_name, &run->by_name);
        index_remove(&run->machines->runs_by_id, &run->by_id);
        index_remove(&run->machines->runs_by_pid, &run->by_pid);
        list_remove(&run->runs);
        run->machines->n_runs--;
        crowd_look(run->machines);
        sd_event_source_disable_unref(run->exit);
        sd_event_source_disable_unref(run->timer);
        process_deinit(&run->process);
        free(run->name);
        free(run->shown);
        free(run->uuid);
        free(run->version);
        free(run->lost_why);
        free(run);
        return NULL;
}
