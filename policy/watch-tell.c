/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a machine's backend is told to do by itself, and all that changes it: the configuration,
 * overrides, a hold, time, and our own end. The one difficulty is that nobody can ask a QEMU what it
 * was told: what is in force there is known only as far as it took what it was told last.
 */
#include <string.h>

#include "policy/watch-internal.h"

static bool watch_told_equal(const ActionSet *a, const ActionSet *b) {
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                if (a->keys[key].set != b->keys[key].set ||
                    (a->keys[key].set && a->keys[key].action != b->keys[key].action))
                        return false;
        return true;
}

static void watch_send_told(WatchMachine *m) {
        if (m->watch->ops.tell(m, &m->told, m->watch->userdata))
                m->tells++;
        else
                m->told = (ActionSet){};
}

void watch_tell(WatchMachine *m, Moment now, bool again) {
        EngineMachine em = watch_machine_for_engine(m, now);
        bool held = em.held;
        ActionSet told;

        if (held) {
                em.held = false;
                engine_get_released(m->watch->policy, &em, now, &told);
                m->told_until_us = USEC_INFINITY;
        } else {
                engine_get_told(m->watch->policy, &em, now, &told, &m->told_until_us);
        }
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++) {
                told.keys[key].origin = NULL;
                if (!told.keys[key].set || engine_can_tell(&em, key) || !m->attached)
                        continue;
                told.keys[key].set = false;
                /* a VMM is told when it asks */
                if (again && m->backend != BACKEND_TYPE_VMM)
                        watch_report(m,
                                     WATCH_LEVEL_WARNING,
                                     "%s= can't be set in this backend (%s): it acts by itself",
                                     policy_key_to_string(key),
                                     m->version ? m->version : "no version");
        }
        if (!m->attached || m->backend != BACKEND_TYPE_QMP)
                return;
        if (!again && watch_told_equal(&told, &m->told))
                return;
        /* A key we no longer name keeps its value in QEMU: nobody can ask what it was before. */
        m->told = told;
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                if (told.keys[key].set) {
                        watch_send_told(m);
                        break;
                }
}

void watch_told(Watch *watch, const char *machine, const char *run, bool taken) {
        WatchMachine *m = watch_find(watch, machine);

        if (!m || !m->run || strcmp(m->run, run) != 0 || m->tells == 0)
                return;
        m->tells--;
        if (!taken)
                m->told = (ActionSet){}; /* told again at the next attach, or change */
}

/* A key the new configuration says something else about is the configuration's again, loudly. */
static void watch_drop_changed(WatchMachine *m, const Policy *old, const Policy *new) {
        GuestSettings before, after;

        if (!m->overridden)
                return;
        policy_get_guest(old, m->name, &before);
        policy_get_guest(new, m->name, &after);
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++) {
                bool changed = before.actions.keys[key].set != after.actions.keys[key].set ||
                               before.actions.keys[key].action != after.actions.keys[key].action;

                if (!m->overrides.keys[key].set || !changed)
                        continue;
                m->overrides.keys[key].set = false;
                watch_report(m,
                             WATCH_LEVEL_WARNING,
                             "%s= was set by set-action; the configuration changed it, which counts now",
                             policy_key_to_string(key));
        }
}

void watch_set_policy(Watch *watch, const Policy *policy, Moment now) {
        const Policy *old = watch->policy;
        struct lh_entry *entry;

        watch->policy = policy;
        lh_foreach(watch->machines, entry) {
                WatchMachine *m = (WatchMachine *) (uintptr_t) lh_entry_v(entry);

                watch_drop_changed(m, old, policy);
                watch_tell(m, now, false);
                watch_arm(m, now);
        }
}

void watch_plugins_changed(Watch *watch, Moment now) {
        watch_set_policy(watch, watch->policy, now);
}

void watch_override(Watch *watch, WatchMachine *m, const ActionSet *set, Moment now) {
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                if (set->keys[key].set) {
                        m->overrides.keys[key].set = true;
                        m->overrides.keys[key].action = set->keys[key].action;
                        m->overridden = true;
                }
        watch_tell(m, now, true);
        watch_arm(m, now);
        watch->ops.changed(m, WATCH_CHANGE_KEPT, watch->userdata);
}

bool watch_reset_override(Watch *watch, WatchMachine *m, PolicyKey key, Moment now) {
        bool any = false, left = false;

        for (PolicyKey i = 0; i < _POLICY_KEY_MAX; i++) {
                if (m->overrides.keys[i].set && (key == _POLICY_KEY_MAX || key == i)) {
                        m->overrides.keys[i].set = false;
                        any = true;
                }
                left |= m->overrides.keys[i].set;
        }
        m->overridden = left;
        if (any) {
                watch_tell(m, now, true);
                watch_arm(m, now);
                watch->ops.changed(m, WATCH_CHANGE_KEPT, watch->userdata);
        }
        return any;
}

void watch_hold(Watch *watch, WatchMachine *m, uint64_t for_us, Moment now) {
        m->hold_until_us = for_us > 0 ? now.boot_us + for_us : 0;
        m->hold_until_real_us = for_us > 0 ? now.real_us + for_us : 0;
        watch_tell(m, now, false);
        watch_arm(m, now);
        watch->ops.changed(m, WATCH_CHANGE_KEPT, watch->userdata);
}

void watch_release(Watch *watch, Moment now) {
        struct lh_entry *entry;

        lh_foreach(watch->machines, entry) {
                WatchMachine *m = (WatchMachine *) (uintptr_t) lh_entry_v(entry);
                EngineMachine em = watch_machine_for_engine(m, now);
                ActionSet released;

                engine_get_released(watch->policy, &em, now, &released);
                if (!m->attached || m->backend != BACKEND_TYPE_QMP ||
                    watch_told_equal(&released, &m->told))
                        continue;
                m->told = released;
                watch_send_told(m);
        }
}
