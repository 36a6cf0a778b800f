/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is to leave the record, at every instant a crash may come, such that whoever
 * returns can tell what was done (policy/watch-resume.c). So a command is sent only when the word
 * for it is down: "intent" before the first, "reset" between system_reset and cont. An answer that
 * never comes because the connection ended is no result: the action is left as it stands in the
 * record, and taken up when the machine is attached again, or ends with its run. Evidence comes before
 * the intent: while there is none, whoever returns begins anew, and what is kept by then is not
 * taken again.
 */
#include "daemon/act/act.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ActAction ActAction;

/* Chains of ten when 10,000 guests panic at once; numbers are given one after the other. */
#define ACT_BUCKETS 1024

struct Act {
        sd_event *event;
        Machines *machines;
        Evidence *evidence;
        ActOps ops;
        void *userdata;
        List actions[ACT_BUCKETS]; /* by incident */
        List commands;             /* not answered yet */
        List waiting;              /* actions, for a write; in the order of these */
};

/* One action under way. */
struct ActAction {
        Act *act;
        List link;
        List waiting; /* in act->waiting, or nowhere */
        char *machine;
        uint64_t incident;
        Plan plan;
        size_t next;     /* of plan.steps */
        bool nmi;        /* never repeated, so never sent without its record */
        bool fresh;      /* nothing has been written for it yet */
        bool running;    /* the machine, when it was begun */
        unsigned kinds;  /* of EvidenceKind, still to be taken */
        bool is_waiting; /* for evidence */
        bool is_refused; /* what is under way is no longer what was decided */
        uint64_t awaits; /* write that must be down before the next command; 0: none */
        sd_event_source *timer;
};

/* What a done() needs: the action may have been forgotten while QEMU worked. */
typedef struct ActCommand {
        Act *act; /* NULL: all of it is gone */
        List link;
        uint64_t incident;
} ActCommand;

static const struct {
        BackendVerb verb;
        const char *command;
} act_commands[_PLAN_STEP_MAX] = {
        [PLAN_STOP] = { BACKEND_STOP, "stop" },
        [PLAN_SYSTEM_RESET] = { BACKEND_SYSTEM_RESET, "system_reset" },
        [PLAN_CONT] = { BACKEND_CONT, "cont" },
        [PLAN_SYSTEM_POWERDOWN] = { BACKEND_SYSTEM_POWERDOWN, "system_powerdown" },
        [PLAN_QUIT] = { BACKEND_QUIT, "quit" },
        [PLAN_KILL] = { BACKEND_KILL, "kill" },
        [PLAN_INJECT_NMI] = { BACKEND_INJECT_NMI, "inject-nmi" },
};

int act_new(Act **ret,
            sd_event *event,
            Machines *machines,
            Evidence *evidence,
            const ActOps *ops,
            void *userdata) {
        Act *act;

        act = calloc(1, sizeof(*act));
        if (!act)
                return -ENOMEM;
        act->event = sd_event_ref(event);
        act->machines = machines;
        act->evidence = evidence;
        act->ops = *ops;
        act->userdata = userdata;
        for (size_t i = 0; i < ACT_BUCKETS; i++)
                list_init(&act->actions[i]);
        list_init(&act->commands);
        list_init(&act->waiting);
        *ret = act;
        return 0;
}

static List *act_get_bucket(Act *act, uint64_t incident) {
        return &act->actions[incident % ACT_BUCKETS];
}

static void act_action_free(ActAction *action) {
        list_remove(&action->link);
        list_remove(&action->waiting);
        sd_event_source_disable_unref(action->timer);
        free(action->machine);
        free(action);
}

Act *act_free(Act *act) {
        if (!act)
                return NULL;
        for (size_t bucket = 0; bucket < ACT_BUCKETS; bucket++)
                list_foreach_safe(i, n, &act->actions[bucket])
                        act_action_free(list_entry(i, ActAction, link));
        list_foreach_safe(i, n, &act->commands) {
                ActCommand *command = list_entry(i, ActCommand, link);

                command->act = NULL;
                list_remove(&command->link);
        }
        sd_event_unref(act->event);
        free(act);
        return NULL;
}

static uint64_t act_step(ActAction *action, const char *what, const char *error, const char *text) {
        Act *act = action->act;

        return act->ops.step(action->machine, action->incident, what, error, text, act->userdata);
}

static void act_end(ActAction *action, IncidentOutcome outcome) {
        Act *act = action->act;
        _cleanup_free_ char *machine = TAKE_PTR(action->machine);
        uint64_t incident = action->incident;

        act_action_free(action);
        act->ops.end(machine, incident, outcome, act->userdata);
}

static void act_advance(ActAction *action);

static void act_stop_waiting(ActAction *action) {
        action->awaits = 0;
        list_remove(&action->waiting);
}

/* The next step waits until the write is down, but not for ever. */
static void act_wait(ActAction *action, uint64_t write) {
        int r;

        action->awaits = write;
        list_append(&action->act->waiting, &action->waiting);
        r = sd_event_source_set_time_relative(action->timer, ACT_RECORD_US);
        if (r >= 0)
                r = sd_event_source_set_enabled(action->timer, SD_EVENT_ONESHOT);
        if (r < 0) {
                (void) act_step(action, "note", strerror(-r), "no timer could be had");
                act_end(action, INCIDENT_OUTCOME_FAILED);
        }
}

static ActAction *act_find(Act *act, uint64_t incident) {
        list_foreach(i, act_get_bucket(act, incident)) {
                ActAction *action = list_entry(i, ActAction, link);

                if (action->incident == incident)
                        return action;
        }
        return NULL;
}

/* What is left to do when a command was refused: at last, the machine shall stand still. */
static void act_fall_back(ActAction *action) {
        PlanStep refused = action->plan.steps[action->next];

        if (refused == PLAN_STOP || refused == PLAN_CONT || refused == PLAN_KILL) {
                act_end(action, INCIDENT_OUTCOME_FAILED);
                return;
        }
        action->plan = (Plan){ { PLAN_STOP }, 1 };
        action->next = 0;
        action->is_refused = true;
        act_wait(action, act_step(action, "note", NULL, "falls back: pause"));
}

static void act_answered(int r, json_object *ret, const char *error, void *userdata) {
        _cleanup_free_ ActCommand *command = userdata;
        ActAction *action;
        PlanStep step;
        uint64_t write;

        list_remove(&command->link);
        action = command->act ? act_find(command->act, command->incident) : NULL;
        if (!action)
                return;
        step = action->plan.steps[action->next];
        if (r == -ENOTCONN) {
                (void) act_step(action, "note", error, "the connection ended before an answer");
                act_action_free(action);
                return;
        }
        if (r < 0) {
                (void) act_step(action,
                                act_commands[step].command,
                                error ? error : strerror(-r),
                                "refused");
                act_fall_back(action);
                return;
        }

        if (step == PLAN_SYSTEM_RESET)
                write = act_step(action, "reset", NULL, "system_reset answered");
        else
                write = act_step(action, act_commands[step].command, NULL, "answered");
        action->next++;
        act_wait(action, write);
}

static void act_send(ActAction *action) {
        PlanStep step = action->plan.steps[action->next];
        ActCommand *command;
        int r;

        command = malloc(sizeof(*command));
        if (!command) {
                act_end(action, INCIDENT_OUTCOME_FAILED);
                return;
        }
        *command = (ActCommand){ .act = action->act, .incident = action->incident };
        list_append(&action->act->commands, &command->link);
        r = machines_command(action->act->machines,
                             action->machine,
                             &(BackendCall){ .verb = act_commands[step].verb,
                                             .fd = -1,
                                             .deadline_us = ACT_ANSWER_US,
                                             .done = act_answered,
                                             .userdata = command });
        if (r >= 0)
                return;
        list_remove(&command->link);
        free(command);
        (void) act_step(action, act_commands[step].command, strerror(-r), "could not be sent");
        if (r == -ENOTCONN || r == -ESRCH)
                act_action_free(action);
        else
                act_end(action, INCIDENT_OUTCOME_FAILED);
}

static void act_gathered(uint64_t incident, void *userdata) {
        ActAction *action = act_find(userdata, incident);

        if (!action || !action->is_waiting)
                return;
        action->is_waiting = false;
        act_advance(action);
}

/* True when evidence is being taken, which act_gathered() will hear the end of. */
static bool act_gather(ActAction *action) {
        EvidenceOrder order = { .machine = action->machine,
                                .incident = action->incident,
                                .kinds = action->kinds,
                                .running = action->running };
        int r;

        if (action->kinds == 0)
                return false;
        action->kinds = 0;
        action->is_waiting = true;
        r = evidence_take(action->act->evidence, &order, act_gathered, action->act);
        if (r < 0) {
                action->is_waiting = false;
                (void) act_step(action, "evidence", strerror(-r), "no evidence could be taken");
        }
        return r >= 0;
}

static void act_advance(ActAction *action) {
        char text[64];

        if (action->fresh) {
                if (act_gather(action))
                        return;
                action->fresh = false;
                if (action->plan.n_steps > 0) {
                        const char *command = act_commands[action->plan.steps[0]].command;

                        (void) snprintf(text, sizeof(text), "about to send %s", command);
                        act_wait(action, act_step(action, "intent", NULL, text));
                        return;
                }
        }
        if (action->next < action->plan.n_steps)
                act_send(action);
        else
                act_end(action, action->is_refused ? INCIDENT_OUTCOME_FAILED : INCIDENT_OUTCOME_DONE);
}

static int act_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        ActAction *action = userdata;

        if (action->awaits > 0) {
                act_stop_waiting(action);
                if (action->nmi && action->next < action->plan.n_steps &&
                    action->plan.steps[action->next] == PLAN_INJECT_NMI) {
                        (void) act_step(
                                action,
                                "note",
                                NULL,
                                "the record is not down: what can't be told afterwards is not sent");
                        act_end(action, INCIDENT_OUTCOME_FAILED);
                        return 0;
                }
                (void) act_step(action, "note", NULL, "went ahead before the record was down");
        }
        act_advance(action);
        return 0;
}

/* What the decision names and is not kept yet. Once there is an intent, this has been dealt with. */
static unsigned act_get_kinds(const IncidentInfo *incident, ActPoint from) {
        const DecisionInfo *decision = incident->decision;
        unsigned kinds = 0;

        if (from != ACT_FROM_START)
                return 0;
        for (size_t i = 0; i < incident->n_steps; i++)
                if (strcmp(incident->steps[i]->what, "intent") == 0)
                        return 0;
        for (size_t i = 0; i < decision->n_evidence; i++)
                kinds |= evidence_find_kind(decision->evidence[i]);
        for (size_t i = 0; i < incident->n_evidence; i++)
                kinds &= ~evidence_find_kind(incident->evidence[i]->kind);
        return kinds;
}

int act_begin(Act *act, const WatchMachine *machine, const IncidentInfo *incident, ActPoint from) {
        Plan plan = plan_make(incident->kind, incident->decision->action, machine->running, from);
        ActAction *action = act_find(act, incident->id);
        int r;

        if (action && action->is_waiting) {
                /* the connection was lost and found again: a dump goes on without it */
                action->plan = plan;
                return 0;
        }
        action = calloc(1, sizeof(*action));
        if (!action)
                return -ENOMEM;
        action->act = act;
        action->incident = incident->id;
        action->plan = plan;
        action->running = machine->running;
        action->kinds = act_get_kinds(incident, from);
        action->nmi = incident->decision->action == ACTION_INJECT_NMI;
        action->fresh = true;
        list_init(&action->waiting);
        list_append(act_get_bucket(act, incident->id), &action->link);
        action->machine = strdup(machine->name);
        /* Begun from the loop: whoever decided is not called back before it has ended its own work. */
        r = !action->machine
                    ? -ENOMEM
                    : sd_event_add_time_relative(
                              act->event, &action->timer, CLOCK_MONOTONIC, 0, 1, act_on_timer, action);
        if (r < 0)
                act_action_free(action);
        return r < 0 ? r : 0;
}

void act_closed(Act *act, uint64_t incident) {
        ActAction *action = act_find(act, incident);

        if (!action)
                return;
        if (action->is_waiting)
                evidence_cancel(act->evidence, incident);
        act_action_free(action);
}

void act_recorded(Act *act, uint64_t write, int r) {
        ActAction *action = NULL;

        list_foreach(i, &act->waiting) {
                action = list_entry(i, ActAction, waiting);
                if (action->awaits >= write)
                        break;
        }
        if (!action || action->awaits != write)
                return;
        act_stop_waiting(action);
        (void) sd_event_source_set_enabled(action->timer, SD_EVENT_OFF);
        if (r < 0)
                (void) act_step(action, "note", strerror(-r), "the record could not be kept");
        act_advance(action);
}
