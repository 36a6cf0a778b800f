/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rule.h"

#include "policy/decode/hyperv.h"
#include "policy/util/glob.h"

static bool rule_range_matches(const RangeMatch *range, bool known, uint64_t value) {
        return !range->set || (known && value >= range->first && value <= range->last);
}

static bool rule_flag_matches(int wanted, bool known, bool value) {
        return wanted < 0 || (known && value == (bool) wanted);
}

static bool rule_hyperv_matches(const Rule *rule, const GuestPanicInformationHyperV *hyperv) {
        uint64_t args[5] = {}, stop_code = 0;
        bool known = hyperv && hyperv_get_stop_code(hyperv, &stop_code);

        if (hyperv) {
                args[0] = hyperv->arg1;
                args[1] = hyperv->arg2;
                args[2] = hyperv->arg3;
                args[3] = hyperv->arg4;
                args[4] = hyperv->arg5;
        }
        for (size_t i = 0; i < ELEMENTSOF(args); i++)
                if (!rule_range_matches(&rule->hyperv_arg[i], hyperv, args[i]))
                        return false;
        return rule_range_matches(&rule->stop_code, known, stop_code);
}

static bool rule_panic_matches(const Rule *rule, const GuestPanicInformation *info) {
        const GuestPanicInformationHyperV *hyperv = NULL;
        const GuestPanicInformationS390 *s390 = NULL;

        if (info && info->type == GUEST_PANIC_INFORMATION_TYPE_HYPER_V)
                hyperv = &info->u.hyper_v;
        if (info && info->type == GUEST_PANIC_INFORMATION_TYPE_S390)
                s390 = &info->u.s390;

        if (rule->panic_type_set && (!info || info->type != rule->panic_type))
                return false;
        if (rule->s390_reason_set && (!s390 || s390->reason != rule->s390_reason))
                return false;
        return rule_range_matches(&rule->psw_addr, s390, s390 ? s390->psw_addr : 0) &&
               rule_hyperv_matches(rule, hyperv);
}

static bool rule_memory_matches(const Rule *rule, const IncidentInfo *incident) {
        const MemoryFailureFlags *flags = incident->flags;

        if (rule->recipient_set &&
            (!incident->has_recipient || incident->recipient != rule->recipient))
                return false;
        return rule_flag_matches(rule->action_required, flags, flags && flags->action_required) &&
               rule_flag_matches(rule->recursive, flags, flags && flags->recursive);
}

/* A guest whose crash kernel works is acted on only when it does not come back. */
static bool rule_is_too_early(const Rule *rule, IncidentKind kind) {
        return kind == INCIDENT_KIND_CRASHLOADED && rule->action_set &&
               rule->action != ACTION_NONE && rule->delay_us == 0;
}

bool rule_can_match(const Rule *rule, const char *machine, IncidentKind kind) {
        return (!rule->kind_set || rule->kind == kind) &&
               (!rule->machine || glob_match(rule->machine, machine)) &&
               !rule_is_too_early(rule, kind) &&
               (!rule->action_set || policy_kind_allows(kind, rule->action));
}

bool rule_matches(const Rule *rule, const IncidentInfo *incident) {
        if (!rule_can_match(rule, incident->machine, incident->kind))
                return false;
        if (rule->state_set && (!incident->has_state || incident->state != rule->state))
                return false;
        return rule_panic_matches(rule, incident->info) && rule_memory_matches(rule, incident);
}
