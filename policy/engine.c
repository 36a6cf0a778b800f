/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty: three things must agree. What is decided now, what the backend was told
 * beforehand (and so did by itself), and what it can do at all. The order of voices is fixed by the
 * design; a later voice sees, and may overrule, what was said before it.
 */
#include "policy/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/observation.h"
#include "policy/rule.h"
#include "policy/util/duration.h"

int decision_info_say(DecisionInfo *info,
                      const char *by,
                      int action,
                      const char *origin,
                      const char *format,
                      ...) {
        _cleanup_(trail_entry_freep) TrailEntry *entry = NULL;
        TrailEntry **entries;
        va_list ap;
        int r;

        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        va_start(ap, format);
        r = vasprintf(&entry->text, format, ap);
        va_end(ap);
        if (r < 0) {
                entry->text = NULL;
                return -ENOMEM;
        }
        entry->by = strdup(by);
        if (origin)
                entry->origin = strdup(origin);
        if (!entry->by || (origin && !entry->origin))
                return -ENOMEM;
        if (action >= 0) {
                entry->has_action = true;
                entry->action = (Action) action;
        }

        entries = reallocarray(info->trail, info->n_trail + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        info->trail = entries;
        info->trail[info->n_trail++] = TAKE_PTR(entry);
        return 0;
}

/* The key of the action set that speaks for a kind; false when none does. */
static bool engine_get_key(IncidentKind kind, PolicyKey *ret) {
        switch (kind) {
        case INCIDENT_KIND_WATCHDOG:
                *ret = POLICY_KEY_WATCHDOG;
                return true;
        case INCIDENT_KIND_PANIC:
                *ret = POLICY_KEY_PANIC;
                return true;
        case INCIDENT_KIND_MEMORY_FAILURE:
                *ret = POLICY_KEY_MEMORY_FAILURE;
                return true;
        case INCIDENT_KIND_NOTIFY_VMEXIT:
                *ret = POLICY_KEY_NOTIFY_VMEXIT;
                return true;
        case INCIDENT_KIND_CRASHLOADED:
        case INCIDENT_KIND_CORRECTED:
        case INCIDENT_KIND_STOPPED:
        case INCIDENT_KIND_UNRESPONSIVE:
        case _INCIDENT_KIND_MAX:
                break;
        }
        return false;
}

static int engine_ask_action_set(const GuestSettings *settings,
                                 const EngineMachine *machine,
                                 IncidentKind kind,
                                 Decision *d) {
        const ActionSet *set = &settings->actions;
        const char *by = "action-set";
        PolicyKey key;

        if (!engine_get_key(kind, &key))
                return 0;
        if (machine->overrides && machine->overrides->keys[key].set) {
                set = machine->overrides;
                by = "override";
        }
        if (!set->keys[key].set)
                return decision_info_say(d->info,
                                         by,
                                         -1,
                                         NULL,
                                         "%s= is not set for this machine",
                                         policy_key_to_string(key));
        d->acts = true;
        d->action = set->keys[key].action;
        return decision_info_say(d->info,
                                 by,
                                 (int) d->action,
                                 set->keys[key].origin,
                                 "%s = %s",
                                 policy_key_to_string(key),
                                 action_to_string(d->action));
}

static int engine_add_evidence(DecisionInfo *info, unsigned evidence) {
        static const char *const names[] = { "registers", "message", "log", "memory" };

        if (!evidence)
                return 0;
        info->evidence = calloc(ELEMENTSOF(names), sizeof(*info->evidence));
        if (!info->evidence)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (!(evidence & (1U << i)))
                        continue;
                info->evidence[info->n_evidence] = strdup(names[i]);
                if (!info->evidence[info->n_evidence])
                        return -ENOMEM;
                info->n_evidence++;
        }
        return 0;
}

static int engine_apply_rule(const Rule *rule, const EngineMachine *machine, Moment now, Decision *d) {
        char by[128], window[DURATION_TEXT_SIZE];
        uint32_t key = history_rule_key(rule->name);
        unsigned count = 0;
        int r;

        (void) snprintf(by, sizeof(by), "rule %s", rule->name);
        if (rule->limit_count > 0)
                count = history_count_rule(machine->history, key, rule->limit_time_us, now);

        r = engine_add_evidence(d->info, rule->evidence);
        if (r < 0)
                return r;
        if (rule->limit_count > 0 && count >= rule->limit_count) {
                /* The limit is about acting: at its end the machine waits for a person. */
                d->acts = true;
                d->action = rule->then_set ? rule->then : ACTION_PAUSE;
                return decision_info_say(d->info,
                                         by,
                                         (int) d->action,
                                         rule->origin,
                                         "carried out %u times within %s: limit reached, %s instead",
                                         count,
                                         duration_format(rule->limit_time_us, window),
                                         action_to_string(d->action));
        }
        d->rule = key;
        if (!rule->action_set)
                return decision_info_say(d->info, by, -1, rule->origin, "matches; it names no action");
        d->acts = true;
        d->action = rule->action;
        d->delay_us = rule->delay_us;
        memcpy(d->cancel_on, rule->cancel_on, sizeof(d->cancel_on));
        if (rule->delay_us > 0)
                return decision_info_say(d->info,
                                         by,
                                         (int) d->action,
                                         rule->origin,
                                         "%s, if the guest has not helped itself within %s",
                                         action_to_string(d->action),
                                         duration_format(rule->delay_us, window));
        return decision_info_say(
                d->info, by, (int) d->action, rule->origin, "%s", action_to_string(d->action));
}

static int engine_ask_rules(const Policy *policy,
                            const EngineMachine *machine,
                            const IncidentInfo *incident,
                            Moment now,
                            Decision *d) {
        for (size_t i = 0; i < policy->n_rules; i++)
                if (rule_matches(&policy->rules[i], incident))
                        return engine_apply_rule(&policy->rules[i], machine, now, d);
        return 0;
}

static bool engine_is_guarded(const Policy *policy, const EngineMachine *machine, Moment now) {
        return policy->guard_count > 0 &&
               history_count_action(machine->history, ACTION_RESET, policy->guard_time_us, now) >=
                       policy->guard_count;
}

static int engine_ask_guard(const Policy *policy,
                            const EngineMachine *machine,
                            Moment now,
                            Decision *d) {
        char window[DURATION_TEXT_SIZE];

        if (!d->acts || d->action != ACTION_RESET || !engine_is_guarded(policy, machine, now))
                return 0;
        d->action = ACTION_PAUSE;
        d->delay_us = 0;
        return decision_info_say(d->info,
                                 "loop-guard",
                                 ACTION_PAUSE,
                                 NULL,
                                 "reset %u times within %s already: paused until somebody looks",
                                 policy->guard_count,
                                 duration_format(policy->guard_time_us, window));
}

/* What each action needs of the backend, and what is next best where that is missing: a line
 * further down, since that may be missing too. */
static const struct {
        Action action;
        unsigned ability;
        Action next;
} engine_clamps[] = {
        { ACTION_EXIT_FAILURE, ABILITY_EXIT_FAILURE, ACTION_SHUTDOWN },
        { ACTION_RESET, ABILITY_RESET, ACTION_PAUSE },
        { ACTION_SHUTDOWN, ABILITY_QUIT, ACTION_PAUSE },
        { ACTION_POWEROFF, ABILITY_QUIT, ACTION_PAUSE },
        { ACTION_FATAL, ABILITY_QUIT, ACTION_PAUSE },
        { ACTION_INJECT_NMI, ABILITY_INJECT_NMI, ACTION_PAUSE },
        { ACTION_PAUSE, ABILITY_STOP, ACTION_NONE },
};

static unsigned engine_get_needed(size_t clamp, IncidentKind kind) {
        if (engine_clamps[clamp].action == ACTION_FATAL && kind == INCIDENT_KIND_UNRESPONSIVE)
                return ABILITY_KILL;
        return engine_clamps[clamp].ability;
}

/* What nobody can do after the fact: only QEMU itself exits with a failure; where it has dealt with a
 * memory failure its action stands; and a page goes offline only when its number is known. */
static bool engine_is_late(const IncidentInfo *incident,
                           Action action,
                           Action backend,
                           Action *ret_next) {
        if (action == ACTION_EXIT_FAILURE)
                *ret_next = ACTION_SHUTDOWN;
        else if (incident->kind == INCIDENT_KIND_MEMORY_FAILURE &&
                 (action == ACTION_IGNORE || action == ACTION_INJECT ||
                  action == ACTION_SOFT_OFFLINE || action == ACTION_HARD_OFFLINE))
                *ret_next = backend;
        else
                return false;
        return true;
}

static int engine_clamp(const EngineMachine *machine,
                        const IncidentInfo *incident,
                        Action backend,
                        Decision *d) {
        Action next;
        int r;

        if (!d->acts || d->action == backend)
                return 0;
        if (!machine->asks && engine_is_late(incident, d->action, backend, &next)) {
                r = decision_info_say(d->info,
                                      "clamp",
                                      (int) next,
                                      NULL,
                                      "%s can't be done after the fact: %s",
                                      action_to_string(d->action),
                                      action_to_string(next));
                if (r < 0)
                        return r;
                d->action = next;
        }
        for (size_t i = 0; i < ELEMENTSOF(engine_clamps); i++) {
                if (d->action != engine_clamps[i].action ||
                    (machine->abilities & engine_get_needed(i, incident->kind)))
                        continue;
                /* nor can what does not answer be paused */
                next = incident->kind == INCIDENT_KIND_UNRESPONSIVE ? ACTION_NONE
                                                                    : engine_clamps[i].next;
                r = decision_info_say(d->info,
                                      "clamp",
                                      (int) next,
                                      NULL,
                                      "this backend can't %s: %s",
                                      action_to_string(d->action),
                                      action_to_string(next));
                if (r < 0)
                        return r;
                d->action = next;
        }
        return 0;
}

/* An action of the backend that leaves nothing to decide: the guest was reset, or is going. */
static bool engine_is_final(Action backend) {
        return backend == ACTION_RESET || backend == ACTION_SHUTDOWN || backend == ACTION_POWEROFF ||
               backend == ACTION_EXIT_FAILURE || backend == ACTION_FATAL;
}

/* Who acts in the end: nobody of ours while observing, or when the backend has done it, or has done
 * what can't be taken back. */
static int engine_settle(const GuestSettings *settings,
                         const EngineMachine *machine,
                         Action backend,
                         Decision *d) {
        const char *why = NULL;
        bool gathers;

        if (machine->held)
                why = "held for maintenance: nothing is decided";
        else if (settings->mode == MACHINE_MODE_OBSERVE)
                why = "mode = observe: the backend acts";
        else if (!machine->asks && d->acts && d->action != backend && engine_is_final(backend))
                why = "the backend had acted before anything could be decided";

        if (why && d->acts) {
                d->info->has_would = true;
                d->info->would = d->action;
        }
        if (why || !d->acts || d->action == backend) {
                /* evidence is ours to take, even where the action is not */
                gathers = !why && d->info->n_evidence > 0 && !engine_is_final(backend);
                d->acts = gathers;
                d->delay_us = 0;
                d->action = backend;
                if (why)
                        return decision_info_say(d->info,
                                                 machine->held ? "hold" : "observe",
                                                 (int) backend,
                                                 NULL,
                                                 "%s",
                                                 why);
        }
        return 0;
}

static int engine_conclude(Decision *d) {
        const TrailEntry *last = NULL;

        for (size_t i = 0; i < d->info->n_trail; i++)
                if (d->info->trail[i]->has_action)
                        last = d->info->trail[i];
        d->info->action = d->action;
        d->info->by = strdup(last ? last->by : "backend");
        d->info->reason = strdup(last ? last->text : "nobody had a say: what the backend did stands");
        return d->info->by && d->info->reason ? 0 : -ENOMEM;
}

int engine_begin(const Policy *policy,
                 const EngineMachine *machine,
                 const IncidentInfo *incident,
                 Action backend,
                 Moment now,
                 Decision *ret) {
        _cleanup_(decision_deinit) Decision d = { .action = backend };
        GuestSettings settings;
        int r;

        d.info = calloc(1, sizeof(*d.info));
        if (!d.info)
                return -ENOMEM;
        policy_get_guest(policy, machine->name, &settings);
        r = engine_ask_action_set(&settings, machine, incident->kind, &d);
        if (r == 0)
                r = engine_ask_rules(policy, machine, incident, now, &d);
        if (r < 0)
                return r;
        *ret = d;
        d.info = NULL;
        return 0;
}

int engine_hear(Decision *d, IncidentKind kind, const EngineProposal *proposal) {
        TrailEntry *entry;
        char by[128];
        int r;

        (void) snprintf(by, sizeof(by), "plugin %s", proposal->plugin);
        if (proposal->has_action && !policy_kind_allows(kind, proposal->action)) {
                r = decision_info_say(d->info,
                                      by,
                                      -1,
                                      NULL,
                                      "%s is no action for %s: what was decided before stands",
                                      action_to_string(proposal->action),
                                      incident_kind_to_string(kind));
        } else if (proposal->has_action && kind == INCIDENT_KIND_CRASHLOADED &&
                   proposal->action != ACTION_NONE && proposal->delay_us == 0) {
                r = decision_info_say(d->info,
                                      by,
                                      -1,
                                      NULL,
                                      "%s without a delay would cut the guest's own dump short: what was "
                                      "decided before stands",
                                      action_to_string(proposal->action));
        } else {
                r = decision_info_say(d->info,
                                      by,
                                      proposal->has_action ? (int) proposal->action : -1,
                                      NULL,
                                      "%s",
                                      proposal->reason);
                if (r == 0 && proposal->has_action) {
                        /* Whoever speaks last has weighed what was said before; a delay was the rule's. */
                        d->acts = true;
                        d->action = proposal->action;
                        d->delay_us = proposal->delay_us;
                        memset(d->cancel_on, 0, sizeof(d->cancel_on));
                }
                if (r == 0 && d->info->n_evidence == 0)
                        r = engine_add_evidence(d->info, proposal->evidence);
        }
        if (r < 0)
                return r;
        entry = d->info->trail[d->info->n_trail - 1];
        entry->has_took = true;
        entry->took = proposal->took_us;
        return 0;
}

int engine_finish(const Policy *policy,
                  const EngineMachine *machine,
                  const IncidentInfo *incident,
                  Action backend,
                  Moment now,
                  Decision *d) {
        GuestSettings settings;
        int r;

        policy_get_guest(policy, machine->name, &settings);
        r = engine_ask_guard(policy, machine, now, d);
        if (r == 0)
                r = engine_clamp(machine, incident, backend, d);
        if (r == 0)
                r = engine_settle(&settings, machine, backend, d);
        return r < 0 ? r : engine_conclude(d);
}

void decision_deinit(Decision *decision) {
        decision->info = decision_info_free(decision->info);
}

/* What rules and plugins make of a key: false when none can have a say. */
static bool engine_tell_for_rules(const Policy *policy,
                                  const EngineMachine *machine,
                                  IncidentKind kind,
                                  Action *ret) {
        bool any = machine->plugin_kinds & (1U << kind);

        for (size_t i = 0; i < policy->n_rules; i++) {
                if (!rule_can_match(&policy->rules[i], machine->name, kind))
                        continue;
                any = true;
                if (policy->rules[i].delay_us > 0) {
                        *ret = ACTION_NONE;
                        return true;
                }
        }
        *ret = ACTION_PAUSE;
        return any;
}

static const struct {
        PolicyKey key;
        IncidentKind kind;
} engine_told_kinds[] = {
        { POLICY_KEY_WATCHDOG, INCIDENT_KIND_WATCHDOG },
        { POLICY_KEY_PANIC, INCIDENT_KIND_PANIC },
};

/* The fixed actions of an action set as the backend can carry them out itself. */
static void engine_get_fixed(const GuestSettings *settings,
                             const EngineMachine *machine,
                             ActionSet *ret) {
        static const PolicyKey keys[] = {
                POLICY_KEY_WATCHDOG, POLICY_KEY_PANIC, POLICY_KEY_REBOOT, POLICY_KEY_SHUTDOWN
        };

        *ret = (ActionSet){};
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const ActionSet *set = &settings->actions;
                PolicyKey key = keys[i];

                if (machine->overrides && machine->overrides->keys[key].set)
                        set = machine->overrides;
                if (!set->keys[key].set)
                        continue;
                ret->keys[key].set = true;
                ret->keys[key].action = set->keys[key].action;
                /* QEMU has no panic=reset: it pauses, and tocsin resets */
                if (key == POLICY_KEY_PANIC && ret->keys[key].action == ACTION_RESET)
                        ret->keys[key].action = ACTION_PAUSE;
        }
        if (ret->keys[POLICY_KEY_PANIC].set &&
            ret->keys[POLICY_KEY_PANIC].action == ACTION_EXIT_FAILURE &&
            !(machine->abilities & ABILITY_EXIT_FAILURE))
                ret->keys[POLICY_KEY_PANIC].action = ACTION_SHUTDOWN;
}

void engine_get_told(const Policy *policy,
                     const EngineMachine *machine,
                     Moment now,
                     ActionSet *ret,
                     uint64_t *ret_until) {
        GuestSettings settings;

        *ret = (ActionSet){};
        *ret_until = USEC_INFINITY;
        policy_get_guest(policy, machine->name, &settings);
        if (settings.mode == MACHINE_MODE_OBSERVE || machine->held)
                return;

        engine_get_fixed(&settings, machine, ret);
        for (size_t i = 0; i < ELEMENTSOF(engine_told_kinds); i++) {
                PolicyKey key = engine_told_kinds[i].key;
                Action told;

                if (engine_tell_for_rules(policy, machine, engine_told_kinds[i].kind, &told)) {
                        ret->keys[key].set = true;
                        ret->keys[key].action = told;
                } else if (ret->keys[key].set && ret->keys[key].action == ACTION_RESET &&
                           engine_is_guarded(policy, machine, now)) {
                        ret->keys[key].action = ACTION_PAUSE;
                        *ret_until = history_action_until(machine->history,
                                                          ACTION_RESET,
                                                          policy->guard_time_us,
                                                          now);
                }
        }
}

bool engine_can_tell(const EngineMachine *machine, PolicyKey key) {
        unsigned needed = ABILITY_SET_ACTION;

        if (key == POLICY_KEY_WATCHDOG)
                needed |= ABILITY_WATCHDOG_SET_ACTION;
        return machine->abilities & needed;
}

void engine_get_released(const Policy *policy, const EngineMachine *machine, Moment now, ActionSet *ret) {
        GuestSettings settings;
        ActionSet fixed;
        uint64_t until;

        engine_get_told(policy, machine, now, ret, &until);
        policy_get_guest(policy, machine->name, &settings);
        engine_get_fixed(&settings, machine, &fixed);
        for (size_t i = 0; i < ELEMENTSOF(engine_told_kinds); i++) {
                PolicyKey key = engine_told_kinds[i].key;

                if (!ret->keys[key].set)
                        continue;
                if (fixed.keys[key].set)
                        ret->keys[key] = fixed.keys[key];
                else if (ret->keys[key].action == ACTION_NONE)
                        ret->keys[key].action = ACTION_PAUSE;
        }
}
