/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Carrying out decisions, step by step: the evidence is taken; then the intent, the command, and what
 * came of it are each written down before the next. Nothing here decides.
 */
#include <systemd/sd-event.h>

#include "daemon/evidence/evidence.h"
#include "daemon/machine/machines.h"
#include "policy/plan.h"

/* The action waits so long for its record; then it goes ahead, and the record says so (design section 2). */
#define ACT_RECORD_US (200 * USEC_PER_MSEC)
/* A QEMU may be silent for seconds while it works for somebody else's monitor. */
#define ACT_ANSWER_US (60 * USEC_PER_SEC)

typedef struct Act Act;

typedef struct ActOps {
        /* A step is to be written down. Returns the number of that write, for act_recorded(). */
        uint64_t (*step)(const char *machine,
                         uint64_t incident,
                         const char *what,
                         const char *error,
                         const char *text,
                         void *userdata);
        /* The action is over. */
        void (*end)(const char *machine, uint64_t incident, IncidentOutcome outcome, void *userdata);
} ActOps;

int act_new(Act **ret,
            sd_event *event,
            Machines *machines,
            Evidence *evidence,
            const ActOps *ops,
            void *userdata);
Act *act_free(Act *act);
DEFINE_CLEANUP(Act *, act_free);

/* Begins; ops are called from the loop, never from within. 0 or a negative errno. */
int act_begin(Act *act, const WatchMachine *machine, const IncidentInfo *incident, ActPoint from);
/* The incident is over, whoever brought that about: nothing more is done about it. May be called from
 * within the watch. */
void act_closed(Act *act, uint64_t incident);
/* This write is down (r < 0: could not be kept). They come in any order: a record that is put again
 * takes the place of the version that waits. */
void act_recorded(Act *act, uint64_t write, int r);
