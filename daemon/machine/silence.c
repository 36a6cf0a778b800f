/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Noticing a QEMU that lives and does not answer. One timer for all machines asks those that have
 * said nothing for a while; without heartbeats there is none.
 *
 * The one difficulty is a QEMU that is busy: while it dumps a large guest it answers nobody, for
 * many seconds. What it does shows in the CPU time of its main thread, so as long as that grows the
 * machine is not silent; but not for ever, since it grows in an endless loop too.
 */
#include <errno.h>
#include <time.h>

#include "daemon/machine/machines-private.h"

/* So many times silent_us a busy machine is let be. */
#define SILENCE_BUSY_MAX 10
/* How often a machine that is late is looked at: so many times in silent_us. */
#define SILENCE_LOOKS 4

static void silence_arm(Machines *machines, uint64_t after_us);

static void silence_take(int r, json_object *ret, const char *error, void *userdata) {
        Run *run = userdata;
        Observation o;

        run->asked_us = 0;
        if (r < 0)
                return;
        if (run->silent) {
                run->silent = false;
                o = run_observation(run, OBSERVATION_ANSWERING);
                run_observe(run, &o);
        }
        o = run_observation(run, OBSERVATION_STATUS);
        if (qmp_identity_read_status(ret, &o.state, &o.running) == 0)
                run_observe(run, &o);
}

static void silence_ask(Run *run, uint64_t now) {
        run->ticks = 0;
        (void) process_get_main_ticks(run->process.pid, &run->ticks);
        /* no deadline, and so no timer, of its own */
        if (qmp_client_call(
                    run->way->client, "query-status", NULL, -1, USEC_INFINITY, silence_take, run) == 0)
                run->asked_us = run->checked_us = run->busy_us = now;
}

/* A question is open. Returns when to look again. */
static uint64_t silence_check(Run *run, uint64_t now) {
        uint64_t silent_us = run->machines->silent_us, look_us = silent_us / SILENCE_LOOKS;
        uint64_t heard = qmp_client_get_heard(run->way->client), ticks = 0;
        uint64_t since;
        Observation o;

        if (run->silent)
                return USEC_INFINITY;
        if (now - run->checked_us >= look_us) {
                (void) process_get_main_ticks(run->process.pid, &ticks);
                run->checked_us = now;
                if (ticks != run->ticks && now - run->asked_us < SILENCE_BUSY_MAX * silent_us)
                        run->busy_us = now;
                run->ticks = ticks;
        }
        since = heard > run->busy_us ? heard : run->busy_us;
        if (now - since < silent_us)
                return since + silent_us < now + look_us ? since + silent_us : now + look_us;

        run->silent = true;
        o = run_observation(run, OBSERVATION_SILENT);
        o.seconds = (now - heard) / USEC_PER_SEC;
        run_observe(run, &o);
        return USEC_INFINITY;
}

static int silence_dispatch(sd_event_source *source, uint64_t usec, void *userdata) {
        Machines *machines = userdata;
        uint64_t now = machines_now(machines, CLOCK_BOOTTIME), next = now + machines->heartbeat_us;
        bool any = false;

        list_foreach_safe(i, n, &machines->runs) {
                Run *run = list_entry(i, Run, runs);
                uint64_t look = USEC_INFINITY;

                if (!run->way || run->exited_us > 0)
                        continue;
                any = true;
                if (run->asked_us > 0)
                        look = silence_check(run, now);
                else if (now - qmp_client_get_heard(run->way->client) >= machines->heartbeat_us)
                        silence_ask(run, now);
                if (look < next)
                        next = look;
        }
        machines->heartbeat = sd_event_source_disable_unref(machines->heartbeat);
        if (any)
                silence_arm(machines, next > now ? next - now : 0);
        return 0;
}

static void silence_arm(Machines *machines, uint64_t after_us) {
        if (machines->heartbeat || machines->heartbeat_us == 0)
                return;
        (void) sd_event_add_time_relative(machines->event,
                                          &machines->heartbeat,
                                          CLOCK_BOOTTIME,
                                          after_us,
                                          0,
                                          silence_dispatch,
                                          machines);
}

int silence_configure(Machines *machines) {
        machines->heartbeat = sd_event_source_disable_unref(machines->heartbeat);
        if (!list_is_empty(&machines->runs))
                silence_arm(machines, machines->heartbeat_us);
        return 0;
}

void silence_begin(Run *run) {
        run->asked_us = 0;
        silence_arm(run->machines, run->machines->heartbeat_us);
}

void silence_end(Run *run) {
        run->asked_us = 0;
        run->silent = false;
}
