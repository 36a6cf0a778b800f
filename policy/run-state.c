/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table is the union over QEMU's releases, because one tocsin watches guests of many: what a
 * release does not do, it does not do, but what one of them does must not be called impossible.
 */
#include "policy/run-state.h"

#define S(name) (1U << RUN_STATE_##name)

/* Every stopped state can be left for these: cont, a migration, system_reset. */
#define LEAVE (S(RUNNING) | S(FINISH_MIGRATE) | S(PRELAUNCH))

static const unsigned run_state_next[_RUN_STATE_MAX] = {
        [RUN_STATE_PRELAUNCH] = S(INMIGRATE) | S(RUNNING) | S(FINISH_MIGRATE) | S(SUSPENDED),
        [RUN_STATE_DEBUG] = LEAVE | S(SUSPENDED),
        [RUN_STATE_INMIGRATE] = S(INTERNAL_ERROR) | S(IO_ERROR) | S(PAUSED) | S(RUNNING) |
                                S(SHUTDOWN) | S(SUSPENDED) | S(WATCHDOG) | S(GUEST_PANICKED) |
                                S(FINISH_MIGRATE) | S(PRELAUNCH) | S(POSTMIGRATE) | S(COLO),
        [RUN_STATE_INTERNAL_ERROR] = S(PAUSED) | S(FINISH_MIGRATE) | S(PRELAUNCH),
        [RUN_STATE_IO_ERROR] = LEAVE,
        [RUN_STATE_PAUSED] = LEAVE | S(POSTMIGRATE) | S(COLO) | S(SUSPENDED),
        [RUN_STATE_POSTMIGRATE] = LEAVE,
        [RUN_STATE_FINISH_MIGRATE] = S(RUNNING) | S(PAUSED) | S(POSTMIGRATE) | S(PRELAUNCH) |
                                     S(COLO) | S(INTERNAL_ERROR) | S(IO_ERROR) | S(SHUTDOWN) |
                                     S(SUSPENDED) | S(WATCHDOG) | S(GUEST_PANICKED),
        [RUN_STATE_RESTORE_VM] = S(RUNNING) | S(PRELAUNCH) | S(SUSPENDED),
        [RUN_STATE_COLO] = S(RUNNING) | S(PRELAUNCH) | S(SHUTDOWN),
        [RUN_STATE_RUNNING] = S(DEBUG) | S(INTERNAL_ERROR) | S(IO_ERROR) | S(PAUSED) |
                              S(FINISH_MIGRATE) | S(RESTORE_VM) | S(SAVE_VM) | S(SHUTDOWN) |
                              S(WATCHDOG) | S(GUEST_PANICKED) | S(COLO) | S(SUSPENDED),
        [RUN_STATE_SAVE_VM] = S(RUNNING) | S(SUSPENDED),
        [RUN_STATE_SHUTDOWN] = S(PAUSED) | S(FINISH_MIGRATE) | S(PRELAUNCH) | S(COLO) | S(RUNNING),
        [RUN_STATE_SUSPENDED] = LEAVE | S(COLO) | S(PAUSED) | S(SAVE_VM) | S(RESTORE_VM) | S(SHUTDOWN),
        [RUN_STATE_WATCHDOG] = LEAVE | S(COLO),
        [RUN_STATE_GUEST_PANICKED] = LEAVE,
};

bool run_state_can_follow(RunState from, RunState to) {
        /* A reset wakes a suspended guest and passes prelaunch by without a word. */
        return from == to || (run_state_next[from] & (1U << to)) ||
               ((run_state_next[from] & S(PRELAUNCH)) && to == RUN_STATE_RUNNING);
}

bool run_state_is_running(RunState state) {
        return state == RUN_STATE_RUNNING;
}

bool run_state_get_incident(RunState state, IncidentKind *ret_kind) {
        IncidentKind kind;

        if (state == RUN_STATE_WATCHDOG)
                kind = INCIDENT_KIND_WATCHDOG;
        else if (state == RUN_STATE_GUEST_PANICKED)
                kind = INCIDENT_KIND_PANIC;
        else if (state == RUN_STATE_INTERNAL_ERROR || state == RUN_STATE_IO_ERROR)
                kind = INCIDENT_KIND_STOPPED;
        else
                return false;
        *ret_kind = kind;
        return true;
}

bool run_state_is_migrated(RunState state) {
        return state == RUN_STATE_POSTMIGRATE;
}
