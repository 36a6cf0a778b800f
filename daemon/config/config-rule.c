/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/config/config-load.h"

static void config_rule_deinit(Rule *rule) {
        free(rule->name);
        free(rule->origin);
        free(rule->machine);
        for (size_t i = 0; i < RULE_CANCEL_MAX; i++)
                free(rule->cancel_on[i]);
}

/* Whether an incident of this kind may get all that the rule may decide. */
static bool config_rule_fits(const Rule *rule, IncidentKind kind) {
        return (!rule->kind_set || rule->kind == kind) &&
               (!rule->action_set || policy_kind_allows(kind, rule->action)) &&
               (!rule->then_set || policy_kind_allows(kind, rule->then));
}

static int config_append_actions(IncidentKind kind, Buffer *text) {
        int r;

        for (Action action = 0; action < _ACTION_MAX; action++) {
                if (!policy_kind_allows(kind, action))
                        continue;
                r = buffer_printf(text,
                                  "%s%s",
                                  buffer_length(text) > 0 ? ", " : "",
                                  action_to_string(action));
                if (r < 0)
                        return r;
        }
        return buffer_append_char(text, '\0');
}

static int config_check_rule_actions(ConfigBuild *build, ConfigSection *section, const Rule *rule) {
        _cleanup_(buffer_deinit) Buffer allowed = BUFFER_NULL;
        bool then_is_wrong = rule->then_set;
        int r;

        for (IncidentKind kind = 0; kind < _INCIDENT_KIND_MAX; kind++)
                if (config_rule_fits(rule, kind))
                        return 0;
        if (!rule->kind_set)
                return config_build_reject(build,
                                           section,
                                           "then",
                                           "expected an action that some kind of incident allows "
                                           "together with action=%s, found '%s'",
                                           action_to_string(rule->action),
                                           action_to_string(rule->then));
        if (rule->action_set && !policy_kind_allows(rule->kind, rule->action))
                then_is_wrong = false;
        r = config_append_actions(rule->kind, &allowed);
        if (r < 0)
                return r;
        return config_build_reject(build,
                                   section,
                                   then_is_wrong ? "then" : "action",
                                   "expected one of %s (kind=%s), found '%s'",
                                   buffer_content(&allowed),
                                   incident_kind_to_string(rule->kind),
                                   action_to_string(then_is_wrong ? rule->then : rule->action));
}

static bool config_section_has(const ConfigSection *section, const char *key) {
        for (size_t i = 0; i < section->n_values; i++)
                if (strcmp(section->values[i].key, key) == 0)
                        return true;
        return false;
}

/* Keys that mean nothing without another one. */
static int config_check_rule_pairs(ConfigBuild *build, ConfigSection *section) {
        static const struct {
                const char *key, *needs;
        } pairs[] = {
                { "then", "limit" },
                { "delay", "action" },
                { "cancel-on", "delay" },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
                if (!config_section_has(section, pairs[i].key) ||
                    config_section_has(section, pairs[i].needs))
                        continue;
                r = config_build_reject(build,
                                        section,
                                        pairs[i].key,
                                        "expected together with %s=, found alone",
                                        pairs[i].needs);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int config_check_rule_delay(ConfigBuild *build, ConfigSection *section, Rule *rule) {
        if (rule->kind_set && rule->kind == INCIDENT_KIND_CRASHLOADED && rule->action_set &&
            rule->action != ACTION_NONE && rule->delay_us == 0)
                return config_build_reject(build,
                                           section,
                                           "action",
                                           "expected none, or delay= with it (kind=crashloaded: the "
                                           "guest's own dump must not be cut short), found '%s'",
                                           action_to_string(rule->action));
        /* A guest that was reset has helped itself, or was helped. */
        if (rule->delay_us > 0 && !rule->cancel_on[0]) {
                rule->cancel_on[0] = strdup("RESET");
                if (!rule->cancel_on[0])
                        return -ENOMEM;
        }
        return 0;
}

static int config_add_rule(Policy *policy, Rule *rule) {
        Rule *rules;

        rules = reallocarray(policy->rules, policy->n_rules + 1, sizeof(*rules));
        if (!rules)
                return -ENOMEM;
        policy->rules = rules;
        rules[policy->n_rules++] = *rule;
        *rule = (Rule){};
        return 0;
}

int config_build_rule(ConfigBuild *build, ConfigSection *section, const char *argument) {
        _cleanup_(config_rule_deinit) Rule rule = { .action_required = -1, .recursive = -1 };
        void *const bases[_CONFIG_BASE_MAX] = { &rule };
        int r;

        rule.name = strdup(argument);
        rule.origin = config_section_origin(section);
        if (!rule.name || !rule.origin)
                return -ENOMEM;
        r = config_build_values(build, &config_sections[CONFIG_SECTION_RULE], section, bases);
        if (r == 0)
                r = config_check_rule_actions(build, section, &rule);
        if (r == 0)
                r = config_check_rule_pairs(build, section);
        if (r == 0)
                r = config_check_rule_delay(build, section, &rule);
        section->rejected |= config_section_is_rejected(section);
        if (r < 0 || section->rejected)
                return r;
        return config_add_rule(build->config->policy, &rule);
}
