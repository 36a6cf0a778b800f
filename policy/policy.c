/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of the configuration, and the table of design section 6: which actions a kind of
 * incident, and a key of an action set, may name.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/util/glob.h"

#define BIT(action) (UINT32_C(1) << (action))

/* WatchdogAction of QAPI */
#define WATCHDOG_ACTIONS                                                                           \
        (BIT(ACTION_RESET) | BIT(ACTION_SHUTDOWN) | BIT(ACTION_POWEROFF) | BIT(ACTION_PAUSE) |     \
         BIT(ACTION_DEBUG) | BIT(ACTION_NONE) | BIT(ACTION_INJECT_NMI))
/* PanicAction of QAPI, and reset, which it lacks and operators need */
#define PANIC_ACTIONS                                                                              \
        (BIT(ACTION_PAUSE) | BIT(ACTION_SHUTDOWN) | BIT(ACTION_EXIT_FAILURE) | BIT(ACTION_NONE) |  \
         BIT(ACTION_RESET))
/* MemoryFailureAction of QAPI, and what may go further */
#define MEMORY_FAILURE_ACTIONS                                                                     \
        (BIT(ACTION_IGNORE) | BIT(ACTION_INJECT) | BIT(ACTION_FATAL) | BIT(ACTION_RESET) |         \
         BIT(ACTION_PAUSE) | BIT(ACTION_SOFT_OFFLINE) | BIT(ACTION_HARD_OFFLINE))
/* NotifyVmexitOption of QAPI */
#define NOTIFY_VMEXIT_ACTIONS (BIT(ACTION_RUN) | BIT(ACTION_INTERNAL_ERROR) | BIT(ACTION_DISABLE))

static const uint32_t policy_kind_actions[_INCIDENT_KIND_MAX] = {
        [INCIDENT_KIND_WATCHDOG] = WATCHDOG_ACTIONS,
        [INCIDENT_KIND_PANIC] = PANIC_ACTIONS,
        /* more than none only with a delay: its own dump must not be cut short */
        [INCIDENT_KIND_CRASHLOADED] = BIT(ACTION_NONE) | BIT(ACTION_RESET) | BIT(ACTION_SHUTDOWN) |
                                      BIT(ACTION_PAUSE),
        [INCIDENT_KIND_MEMORY_FAILURE] = MEMORY_FAILURE_ACTIONS,
        [INCIDENT_KIND_CORRECTED] = BIT(ACTION_NONE) | BIT(ACTION_SOFT_OFFLINE),
        [INCIDENT_KIND_STOPPED] = BIT(ACTION_NONE) | BIT(ACTION_RESET) | BIT(ACTION_SHUTDOWN),
        [INCIDENT_KIND_UNRESPONSIVE] = BIT(ACTION_NONE) | BIT(ACTION_FATAL),
        [INCIDENT_KIND_NOTIFY_VMEXIT] = NOTIFY_VMEXIT_ACTIONS,
};

static const struct {
        const char *name;
        uint32_t actions;
} policy_keys[_POLICY_KEY_MAX] = {
        [POLICY_KEY_WATCHDOG] = { "watchdog", WATCHDOG_ACTIONS },
        [POLICY_KEY_PANIC] = { "panic", PANIC_ACTIONS },
        [POLICY_KEY_MEMORY_FAILURE] = { "memory-failure", MEMORY_FAILURE_ACTIONS },
        [POLICY_KEY_REBOOT] = { "reboot", BIT(ACTION_RESET) | BIT(ACTION_SHUTDOWN) },
        [POLICY_KEY_SHUTDOWN] = { "shutdown", BIT(ACTION_POWEROFF) | BIT(ACTION_PAUSE) },
        [POLICY_KEY_NOTIFY_VMEXIT] = { "notify-vmexit", NOTIFY_VMEXIT_ACTIONS },
};

const char *policy_key_to_string(PolicyKey key) {
        return policy_keys[key].name;
}

int policy_key_from_string(const char *s, PolicyKey *ret) {
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                if (strcmp(policy_keys[key].name, s) == 0) {
                        *ret = key;
                        return 0;
                }
        return -EINVAL;
}

bool policy_kind_allows(IncidentKind kind, Action action) {
        return policy_kind_actions[kind] & BIT(action);
}

bool policy_key_allows(PolicyKey key, Action action) {
        return policy_keys[key].actions & BIT(action);
}

static void policy_strv_free(char **strv) {
        for (char **s = strv; s && *s; s++)
                free(*s);
        free(strv);
}

static void policy_guest_deinit(GuestPolicy *guest) {
        free(guest->glob);
        free(guest->origin);
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                free(guest->actions.keys[key].origin);
        policy_strv_free(guest->plugins);
        free(guest->system_map);
}

static void policy_rule_deinit(Rule *rule) {
        free(rule->name);
        free(rule->origin);
        free(rule->machine);
        for (size_t i = 0; i < RULE_CANCEL_MAX; i++)
                free(rule->cancel_on[i]);
}

Policy *policy_free(Policy *policy) {
        if (!policy)
                return NULL;
        for (size_t i = 0; i < policy->n_guests; i++)
                policy_guest_deinit(&policy->guests[i]);
        for (size_t i = 0; i < policy->n_rules; i++)
                policy_rule_deinit(&policy->rules[i]);
        free(policy->guests);
        free(policy->rules);
        free(policy);
        return NULL;
}

void policy_get_guest(const Policy *policy, const char *machine, GuestSettings *ret) {
        *ret = (GuestSettings){ .mode = MACHINE_MODE_OBSERVE };

        for (size_t i = 0; i < policy->n_guests; i++) {
                const GuestPolicy *guest = &policy->guests[i];

                if (!glob_match(guest->glob, machine))
                        continue;
                if (guest->mode_set)
                        ret->mode = guest->mode;
                if (guest->adopt_set)
                        ret->adopt = guest->adopt;
                if (guest->plugins)
                        ret->plugins = guest->plugins;
                if (guest->system_map)
                        ret->system_map = guest->system_map;
                for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                        if (guest->actions.keys[key].set)
                                ret->actions.keys[key] = guest->actions.keys[key];
        }
        if (policy->dry_run)
                ret->mode = MACHINE_MODE_OBSERVE;
}
