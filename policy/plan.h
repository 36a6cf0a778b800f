/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* How a decision is carried out on a backend that is stopped and started by verbs: the order that makes
 * it happen once. */
#include <stdbool.h>
#include <stddef.h>

#include "policy/watch.h"

typedef enum PlanStep {
        PLAN_STOP,
        PLAN_SYSTEM_RESET,
        PLAN_CONT,
        PLAN_SYSTEM_POWERDOWN,
        PLAN_QUIT,
        PLAN_KILL,
        PLAN_INJECT_NMI,
        _PLAN_STEP_MAX,
} PlanStep;

#define PLAN_STEPS_MAX 2

typedef struct Plan {
        PlanStep steps[PLAN_STEPS_MAX];
        size_t n_steps; /* 0: nothing is to be done, which is done at once */
} Plan;

Plan plan_make(IncidentKind kind, Action action, bool running, ActPoint from);
