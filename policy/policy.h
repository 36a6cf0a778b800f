/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Policy as configured: what the [guest], [rule] and policy keys of [daemon] say. Made by
 * daemon/config, read by the engine, never changed; a reload makes a new one.
 *
 * `origin` is "FILE:LINE", for trails and `config show`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/util/moment.h"
#include "qapi-types.h"

/* The keys of a machine's action set; the order of design section 6. */
typedef enum PolicyKey {
        POLICY_KEY_WATCHDOG,
        POLICY_KEY_PANIC,
        POLICY_KEY_MEMORY_FAILURE,
        POLICY_KEY_REBOOT,
        POLICY_KEY_SHUTDOWN,
        POLICY_KEY_NOTIFY_VMEXIT,
        _POLICY_KEY_MAX,
} PolicyKey;

const char *policy_key_to_string(PolicyKey key);
int policy_key_from_string(const char *s, PolicyKey *ret); /* 0 or -EINVAL */

/* Every action an action set, a rule's `action` or `then` may name for a kind (design section 6).
 * The action set's panic= takes PanicAction and reset. */
bool policy_kind_allows(IncidentKind kind, Action action);
/* As above for a key of the action set; reboot= and shutdown= take QAPI's two values each, where
 * `pause` and `poweroff`, `reset` and `shutdown` are Actions as well. */
bool policy_key_allows(PolicyKey key, Action action);

/* The keys of an action set that are there, each with its value and where it was set. */
typedef struct ActionSet {
        struct {
                bool set;
                Action action;
                char *origin; /* owned by whoever owns the set; NULL in computed sets */
        } keys[_POLICY_KEY_MAX];
} ActionSet;

/* One [guest GLOB] section. Later sections win, key by key. */
typedef struct GuestPolicy {
        char *glob;
        char *origin;
        bool mode_set, adopt_set;
        MachineMode mode;
        bool adopt; /* decide a stop found in a run never seen before */
        ActionSet actions;
        char **plugins; /* NULL-terminated; NULL: not set */
        char *system_map;
} GuestPolicy;

typedef enum EvidenceKind {
        EVIDENCE_REGISTERS = 1 << 0,
        EVIDENCE_MESSAGE = 1 << 1,
        EVIDENCE_LOG = 1 << 2,
        EVIDENCE_MEMORY = 1 << 3,
} EvidenceKind;

/* A number a rule matches: absent, or a closed range. */
typedef struct RangeMatch {
        bool set;
        uint64_t first, last;
} RangeMatch;

#define RULE_CANCEL_MAX 8

/* One [rule NAME] section. A key that is not set matches everything. */
typedef struct Rule {
        char *name;
        char *origin;
        bool kind_set, panic_type_set, s390_reason_set, recipient_set, state_set;
        IncidentKind kind;
        char *machine; /* glob, or NULL */
        GuestPanicInformationType panic_type;
        RangeMatch hyperv_arg[5];
        RangeMatch stop_code; /* decoded: arg1 where the registers carry a Windows stop code */
        S390CrashReason s390_reason;
        RangeMatch psw_addr;
        MemoryFailureRecipient recipient;
        int action_required, recursive; /* -1: not set */
        RunState state;

        bool action_set, then_set;
        Action action;        /* what to do */
        Action then;          /* what to do instead when the limit is reached */
        unsigned limit_count; /* 0: no limit */
        uint64_t limit_time_us;
        uint64_t delay_us;                    /* 0: at once */
        char *cancel_on[RULE_CANCEL_MAX + 1]; /* event names, NULL-terminated */
        unsigned evidence;                    /* of EvidenceKind */
} Rule;

typedef struct Policy {
        GuestPolicy *guests;
        size_t n_guests;
        Rule *rules;
        size_t n_rules;
        bool dry_run;
        /* The loop guard that holds without any rule: resets of one machine within a time, then
         * pause. Defaults: 5 in 10 minutes (design section 6). */
        unsigned guard_count;
        uint64_t guard_time_us;
        /* At most so many machines are acted on within the time; the others wait for their turn.
         * Defaults: 50 in 1 minute. */
        unsigned cap_machines;
        uint64_t cap_time_us;
        /* Incidents of one machine each second, after which they are counted and not opened. */
        unsigned incident_rate;
} Policy;

Policy *policy_free(Policy *policy);
DEFINE_CLEANUP(Policy *, policy_free);

/* What all [guest] sections that match say together; strings are borrowed from the policy. */
typedef struct GuestSettings {
        MachineMode mode; /* observe with dry-run=yes */
        bool adopt;
        ActionSet actions;
        char *const *plugins;   /* NULL-terminated, or NULL */
        const char *system_map; /* path of that of the guest's kernel, or NULL */
} GuestSettings;

void policy_get_guest(const Policy *policy, const char *machine, GuestSettings *ret);
