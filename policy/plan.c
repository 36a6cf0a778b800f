/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan.h"

/* A stopped machine must run to take note of what is sent to it. */
static Plan plan_wake(bool running, PlanStep step) {
        if (running)
                return (Plan){ { step }, 1 };
        return (Plan){ { PLAN_CONT, step }, 2 };
}

Plan plan_make(IncidentKind kind, Action action, bool running, ActPoint from) {
        if (from == ACT_FROM_CONT)
                return (Plan){ { PLAN_CONT }, 1 };

        switch (action) {
        case ACTION_RESET:
                /* A stopped QEMU stays stopped through a reset, in prelaunch. */
                if (running)
                        return (Plan){ { PLAN_SYSTEM_RESET }, 1 };
                return (Plan){ { PLAN_SYSTEM_RESET, PLAN_CONT }, 2 };
        case ACTION_PAUSE:
                return running ? (Plan){ { PLAN_STOP }, 1 } : (Plan){};
        case ACTION_SHUTDOWN:
                /* Only a guest that is alive can be asked; a dead or stuck one is ended. */
                if (kind == INCIDENT_KIND_WATCHDOG)
                        return plan_wake(running, PLAN_SYSTEM_POWERDOWN);
                return (Plan){ { PLAN_QUIT }, 1 };
        case ACTION_POWEROFF:
        case ACTION_EXIT_FAILURE:
        case ACTION_FATAL:
                /* What does not answer can't be told to quit. */
                return (Plan){ { kind == INCIDENT_KIND_UNRESPONSIVE ? PLAN_KILL : PLAN_QUIT }, 1 };
        case ACTION_INJECT_NMI:
                return plan_wake(running, PLAN_INJECT_NMI);
        case ACTION_NONE:
                /* What was only stopped to be decided about goes on; an error of QEMU stays an error. */
                if (!running && (kind == INCIDENT_KIND_WATCHDOG || kind == INCIDENT_KIND_PANIC))
                        return (Plan){ { PLAN_CONT }, 1 };
                return (Plan){};
        case ACTION_RUN:
        case ACTION_DEBUG:
        case ACTION_IGNORE:
        case ACTION_INJECT:
        case ACTION_SOFT_OFFLINE:
        case ACTION_HARD_OFFLINE:
        case ACTION_INTERNAL_ERROR:
        case ACTION_DISABLE:
        case _ACTION_MAX:
                break;
        }
        return (Plan){};
}
