/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The engine makes a decision out of an incident: action set, override, rules, loop guard, clamp, in
 * this order, each leaving a line in the trail. It does nothing and remembers nothing; what was
 * carried out before comes in as history.
 */
#include <stdbool.h>

#include "policy/history.h"
#include "policy/policy.h"

/* The machine a decision is for. */
typedef struct EngineMachine {
        const char *name;
        const ActionSet *overrides; /* set on its endpoint for this run */
        const History *history;
        unsigned abilities;    /* of Ability */
        bool held;             /* maintenance: nothing is decided */
        bool asks;             /* it waits for the answer: the backend's action is still to come */
        unsigned plugin_kinds; /* 1 << IncidentKind: a plugin of its chain has a say */
} EngineMachine;

typedef struct Decision {
        /* True: tocsin acts. False: what the backend did stands, and the info says what that was. */
        bool acts;
        Action action;
        uint32_t rule;                        /* history_rule_key(), 0: no rule */
        uint64_t delay_us;                    /* 0: at once */
        char *cancel_on[RULE_CANCEL_MAX + 1]; /* borrowed from the policy */
        DecisionInfo *info;                   /* owned; take it */
} Decision;

/*
 * `backend` is what the backend did by itself, as its event or its state says. A decision begins with
 * action set and rules, hears the plugins one after the other, and is finished by loop guard, clamp
 * and mode. All return 0 or -ENOMEM.
 */
int engine_begin(const Policy *policy,
                 const EngineMachine *machine,
                 const IncidentInfo *incident,
                 Action backend,
                 Moment now,
                 Decision *ret);
/* What one plugin said of it. */
typedef struct EngineProposal {
        const char *plugin;
        const char *reason;
        bool has_action; /* false: the decision so far stands */
        Action action;
        uint64_t delay_us;
        unsigned evidence; /* of EvidenceKind */
        uint64_t took_us;
} EngineProposal;

int engine_hear(Decision *decision, IncidentKind kind, const EngineProposal *proposal);
int engine_finish(const Policy *policy,
                  const EngineMachine *machine,
                  const IncidentInfo *incident,
                  Action backend,
                  Moment now,
                  Decision *decision);
void decision_deinit(Decision *decision);

/*
 * What the backend is to be told, so that nothing it does by itself forestalls a decision: `none`
 * for a kind where a rule with a delay can match (a paused guest can't help itself), else `pause`
 * where any rule can; otherwise the fixed action itself, which then holds even when tocsind is dead. A fixed
 * reset becomes `pause` while the loop guard is exhausted; *ret_until (boot_us) is when that
 * ends, USEC_INFINITY when nothing here depends on time.
 */
void engine_get_told(const Policy *policy,
                     const EngineMachine *machine,
                     Moment now,
                     ActionSet *ret,
                     uint64_t *ret_until);
/* Whether the backend has a command to set this key (QEMU before 6.0 has one for watchdog= alone). */
bool engine_can_tell(const EngineMachine *machine, PolicyKey key);
/* The same for a daemon that goes away: no `none`, nothing that waits for a decision. */
void engine_get_released(const Policy *policy, const EngineMachine *machine, Moment now, ActionSet *ret);

/* Appends one voice to a trail; `action` < 0: none. 0 or -ENOMEM. */
int decision_info_say(DecisionInfo *info,
                      const char *by,
                      int action,
                      const char *origin,
                      const char *format,
                      ...) __attribute__((__format__(__printf__, 5, 6)));
