/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others are told of a machine: clients, and the store for the time after a restart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rule.h"
#include "policy/watch-internal.h"

static int watch_put_string(json_object *object, const char *key, const char *value) {
        json_object *string;

        if (!value)
                return 0;
        string = json_object_new_string(value);
        if (!string || json_object_object_add(object, key, string) < 0) {
                json_object_put(string);
                return -ENOMEM;
        }
        return 0;
}

static int watch_put_uint64(json_object *object, const char *key, uint64_t value) {
        json_object *number;

        if (value == 0)
                return 0;
        number = json_object_new_uint64(value);
        if (!number || json_object_object_add(object, key, number) < 0) {
                json_object_put(number);
                return -ENOMEM;
        }
        return 0;
}

/* {"panic": "pause"}; NULL in *ret when the set is empty. */
static int watch_set_to_json(const ActionSet *set, json_object **ret) {
        json_object *object = NULL;
        int r;

        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++) {
                if (!set->keys[key].set)
                        continue;
                if (!object)
                        object = json_object_new_object();
                r = object ? watch_put_string(object,
                                              policy_key_to_string(key),
                                              action_to_string(set->keys[key].action))
                           : -ENOMEM;
                if (r < 0) {
                        json_object_put(object);
                        return r;
                }
        }
        *ret = object;
        return 0;
}

json_object *watch_machine_keep(const WatchMachine *m) {
        json_object *kept = json_object_new_object(), *overrides = NULL;
        int r;

        if (!kept)
                return NULL;
        r = watch_put_string(kept, "shown", m->shown);
        if (r == 0)
                r = watch_put_string(kept, "uuid", m->uuid);
        if (r == 0)
                r = watch_put_string(kept, "last-stop", m->last_stop);
        if (r == 0)
                r = watch_put_uint64(kept, "stop-incident", m->stop_incident);
        if (r == 0)
                r = watch_put_uint64(kept, "ended", m->ended_us);
        if (r == 0)
                r = watch_put_uint64(kept, "hold-until", m->hold_until_real_us);
        if (r == 0)
                r = watch_put_uint64(kept, "believed", m->believed);
        if (r == 0 && m->overridden)
                r = watch_set_to_json(&m->overrides, &overrides);
        if (r == 0 && overrides && json_object_object_add(kept, "overrides", overrides) < 0) {
                json_object_put(overrides);
                r = -ENOMEM;
        }
        if (r < 0) {
                json_object_put(kept);
                return NULL;
        }
        return kept;
}

static uint64_t watch_get_uint64(json_object *object, const char *key) {
        json_object *value;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

static char *watch_dup_string(json_object *object, const char *key) {
        json_object *value;

        if (!json_object_object_get_ex(object, key, &value) ||
            !json_object_is_type(value, json_type_string))
                return NULL;
        return strdup(json_object_get_string(value));
}

static void watch_restore_overrides(WatchMachine *m, json_object *kept) {
        json_object *overrides;

        if (!json_object_object_get_ex(kept, "overrides", &overrides))
                return;
        json_object_object_foreach(overrides, name, value) {
                PolicyKey key;
                Action action;

                if (policy_key_from_string(name, &key) < 0 ||
                    action_from_string(json_object_get_string(value), &action) < 0)
                        continue;
                m->overrides.keys[key].set = m->overridden = true;
                m->overrides.keys[key].action = action;
        }
}

int watch_restore_machine(Watch *watch,
                          const char *machine,
                          const char *run,
                          json_object *kept,
                          Moment now) {
        WatchMachine *m = watch_machine_get(watch, machine);
        uint64_t hold_us;

        if (!m)
                return -ENOMEM;
        m->run = strdup(run);
        if (!m->run)
                return -ENOMEM;
        m->known = true;
        m->backend = BACKEND_TYPE_QMP;
        m->shown = watch_dup_string(kept, "shown");
        m->uuid = watch_dup_string(kept, "uuid");
        m->last_stop = watch_dup_string(kept, "last-stop");
        m->stop_incident = watch_get_uint64(kept, "stop-incident");
        m->believed = watch_get_uint64(kept, "believed") != 0;
        m->ended_us = watch_get_uint64(kept, "ended");
        if (m->ended_us > 0)
                watch->n_ended++;
        hold_us = watch_get_uint64(kept, "hold-until");
        if (hold_us > now.real_us) {
                m->hold_until_real_us = hold_us;
                m->hold_until_us = now.boot_us + (hold_us - now.real_us);
        }
        watch_restore_overrides(m, kept);
        watch_arm(m, now);
        return 0;
}

static int watch_copy(char **ret, const char *s) {
        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int watch_info_vfio(const WatchMachine *m, MachineInfo *info) {
        if (m->n_vfio == 0)
                return 0;
        info->vfio = calloc(m->n_vfio, sizeof(*info->vfio));
        if (!info->vfio)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_vfio; i++) {
                VfioDevice *device = info->vfio[info->n_vfio++] = calloc(1, sizeof(*device));

                if (!device || watch_copy(&device->qom_path, m->vfio[i]->qom_path) < 0 ||
                    watch_copy(&device->device_id, m->vfio[i]->device_id) < 0)
                        return -ENOMEM;
                device->device_state = m->vfio[i]->device_state;
        }
        return 0;
}

static int watch_info_strings(const WatchMachine *m, MachineInfo *info) {
        int r = watch_copy(&info->name, m->name);

        if (r == 0 && m->shown && strcmp(m->shown, m->name) != 0)
                r = watch_copy(&info->shown, m->shown);
        if (r == 0)
                r = watch_copy(&info->run, m->run);
        if (r == 0)
                r = watch_copy(&info->uuid, m->uuid);
        if (r == 0)
                r = watch_copy(&info->version, m->version);
        if (r == 0)
                r = watch_copy(&info->last_stop, m->last_stop);
        return r;
}

/* What enforce would set, while observing. */
static void watch_get_would(const WatchMachine *m, Moment now, ActionSet *ret) {
        Policy policy = *m->watch->policy;
        char any[] = "*";
        GuestPolicy enforce = { .glob = any, .mode_set = true, .mode = MACHINE_MODE_ENFORCE };
        EngineMachine em = watch_machine_for_engine(m, now);
        uint64_t until;
        GuestPolicy *guests;

        *ret = (ActionSet){};
        guests = reallocarray(NULL, policy.n_guests + 1, sizeof(*guests));
        if (!guests)
                return;
        if (policy.n_guests > 0)
                memcpy(guests, policy.guests, policy.n_guests * sizeof(*guests));
        guests[policy.n_guests++] = enforce;
        policy.guests = guests;
        policy.dry_run = false;
        em.held = false;
        engine_get_told(&policy, &em, now, ret, &until);
        free(guests);
}

static int watch_info_times(const WatchMachine *m, Moment now, MachineInfo *info) {
        if (m->hold_until_us > now.boot_us) {
                info->hold_until = timestamp_new(m->hold_until_real_us);
                if (!info->hold_until)
                        return -ENOMEM;
        }
        if (m->ended_us > 0) {
                info->ended = timestamp_new(m->ended_us);
                if (!info->ended)
                        return -ENOMEM;
        }
        return 0;
}

int watch_machine_to_info(const WatchMachine *m, Moment now, MachineInfo **ret) {
        _cleanup_(machine_info_freep) MachineInfo *info = calloc(1, sizeof(*info));
        GuestSettings settings;
        ActionSet would;
        int r;

        if (!info)
                return -ENOMEM;
        policy_get_guest(m->watch->policy, m->name, &settings);
        r = watch_info_strings(m, info);
        if (r == 0)
                r = watch_info_times(m, now, info);
        if (r == 0)
                r = watch_info_vfio(m, info);
        if (r == 0 && m->tells == 0)
                r = watch_set_to_json(&m->told, &info->enforced);
        if (r == 0 && m->overridden)
                r = watch_set_to_json(&m->overrides, &info->overrides);
        if (r == 0 && settings.mode == MACHINE_MODE_OBSERVE && m->ended_us == 0) {
                watch_get_would(m, now, &would);
                r = watch_set_to_json(&would, &info->would);
        }
        if (r < 0)
                return r;
        info->backend = m->backend;
        info->mode = settings.mode;
        info->attached = m->attached;
        info->has_pid = m->pid > 0;
        info->pid = m->pid;
        info->has_state = info->has_running = m->state_known;
        info->state = m->state;
        info->running = m->running;
        info->incidents = m->n_incidents;
        list_foreach(i, &m->incidents) {
                const Incident *incident = list_entry(i, const Incident, link);

                if (incident->info->status == INCIDENT_STATUS_HELD) {
                        info->has_held = true;
                        info->held = incident->info->id;
                        break;
                }
        }
        *ret = TAKE_PTR(info);
        return 0;
}

/* Where a key's value comes from: the last voice that has one. */
static int watch_policy_value(const WatchMachine *m,
                              const GuestSettings *settings,
                              PolicyKey key,
                              const ActionSet *would,
                              PolicyValue **ret) {
        _cleanup_(policy_value_freep) PolicyValue *value = calloc(1, sizeof(*value));
        const char *from = "backend", *action = NULL, *origin = NULL;
        int r;

        if (!value)
                return -ENOMEM;
        if (m->overridden && m->overrides.keys[key].set) {
                from = "override";
                action = action_to_string(m->overrides.keys[key].action);
        } else if (m->told.keys[key].set &&
                   (!settings->actions.keys[key].set ||
                    settings->actions.keys[key].action != m->told.keys[key].action)) {
                from = "told";
                action = action_to_string(m->told.keys[key].action);
                origin = settings->actions.keys[key].origin;
        } else if (settings->mode == MACHINE_MODE_ENFORCE && settings->actions.keys[key].set) {
                from = "configuration";
                action = action_to_string(settings->actions.keys[key].action);
                origin = settings->actions.keys[key].origin;
        }
        r = watch_copy(&value->key, policy_key_to_string(key));
        if (r == 0)
                r = watch_copy(&value->from, from);
        if (r == 0)
                r = watch_copy(&value->value, action);
        if (r == 0)
                r = watch_copy(&value->origin, origin);
        if (r == 0 && settings->mode == MACHINE_MODE_OBSERVE && would->keys[key].set)
                r = watch_copy(&value->would, action_to_string(would->keys[key].action));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(value);
        return 0;
}

static int watch_policy_rules(const WatchMachine *m, PolicyInfo *info) {
        const Policy *policy = m->watch->policy;

        info->rules = calloc(policy->n_rules + 1, sizeof(*info->rules));
        if (!info->rules)
                return -ENOMEM;
        for (size_t i = 0; i < policy->n_rules; i++) {
                bool can = false;

                for (IncidentKind kind = 0; kind < _INCIDENT_KIND_MAX; kind++)
                        can |= rule_can_match(&policy->rules[i], m->name, kind);
                if (!can)
                        continue;
                if (watch_copy(&info->rules[info->n_rules], policy->rules[i].name) < 0)
                        return -ENOMEM;
                info->n_rules++;
        }
        return 0;
}

int watch_machine_to_policy(const WatchMachine *m, Moment now, PolicyInfo **ret) {
        _cleanup_(policy_info_freep) PolicyInfo *info = calloc(1, sizeof(*info));
        GuestSettings settings;
        ActionSet would;
        int r;

        if (!info)
                return -ENOMEM;
        policy_get_guest(m->watch->policy, m->name, &settings);
        watch_get_would(m, now, &would);
        info->mode = settings.mode;
        info->dry_run = m->watch->policy->dry_run;
        r = watch_copy(&info->machine, m->name);
        if (r == 0)
                r = watch_policy_rules(m, info);
        info->values = calloc(_POLICY_KEY_MAX, sizeof(*info->values));
        if (!info->values)
                return -ENOMEM;
        for (PolicyKey key = 0; r == 0 && key < _POLICY_KEY_MAX; key++) {
                r = watch_policy_value(m, &settings, key, &would, &info->values[key]);
                info->n_values += r == 0;
        }
        if (r == 0 && m->hold_until_us > now.boot_us) {
                info->hold_until = timestamp_new(m->hold_until_real_us);
                r = info->hold_until ? 0 : -ENOMEM;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(info);
        return 0;
}
