/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that a client registered, for one run: as long as its process lives. A connection that is
 * lost ends nothing, for the VMM behind it may just not have come back yet; and since a process that
 * ends takes its connection with it, in any order, nothing is said of either before a moment has passed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/source/vmm-private.h"
#include "policy/run-state.h"
#include "policy/util/name.h"

VmmGuest *vmm_find_guest(const Vmm *vmm, const char *name) {
        IndexLink *link = index_find(&vmm->guests, name);

        return link ? CONTAINER_OF(link, VmmGuest, by_name) : NULL;
}

Observation vmm_guest_observation(const VmmGuest *guest, ObservationType type) {
        return (Observation){
                .type = type,
                .machine = guest->name,
                .run = guest->run,
                .time_us = vmm_now(guest->vmm),
        };
}

static void vmm_guest_observe(const VmmGuest *guest, const Observation *o) {
        guest->vmm->ops->observe(o, guest->vmm->userdata);
}

const WatchMachine *vmm_guest_get_machine(const VmmGuest *guest) {
        const WatchMachine *m = watch_find(guest->vmm->watch, guest->name);

        if (!m || m->backend != BACKEND_TYPE_VMM || m->ended_us > 0 || !m->run ||
            strcmp(m->run, guest->run) != 0)
                return NULL;
        return m;
}

void vmm_guest_tell(VmmGuest *guest, const char *event, json_object *data, uint64_t time_us) {
        Observation o = vmm_guest_observation(guest, OBSERVATION_EVENT);

        /* nothing has happened later than now */
        if (time_us > 0 && time_us < o.time_us)
                o.time_us = time_us;
        o.event = event;
        o.data = data;
        vmm_guest_observe(guest, &o);
}

static void vmm_guest_tell_cause(VmmGuest *guest,
                                 const char *event,
                                 bool by_guest,
                                 ShutdownCause reason,
                                 uint64_t time_us) {
        /* RESET and SHUTDOWN have the same data */
        ShutdownEvent cause = { .guest = by_guest, .reason = reason };
        json_object *data = NULL;

        if (shutdown_event_to_json(&cause, &data) == 0)
                vmm_guest_tell(guest, event, data, time_us);
        json_object_put(data);
}

static bool vmm_guest_is_guests(ShutdownCause reason) {
        return reason == SHUTDOWN_CAUSE_GUEST_SHUTDOWN || reason == SHUTDOWN_CAUSE_GUEST_RESET ||
               reason == SHUTDOWN_CAUSE_GUEST_PANIC;
}

void vmm_guest_set_state(VmmGuest *guest, RunState state, ShutdownCause reason, uint64_t time_us) {
        const char *event = vmm_notice_get_transition(guest->state, state);
        Observation o;

        guest->state = state;
        if (event && !vmm_guest_relays(guest)) {
                if (strcmp(event, "SHUTDOWN") == 0)
                        vmm_guest_tell_cause(guest, event, vmm_guest_is_guests(reason), reason, time_us);
                else
                        vmm_guest_tell(guest, event, NULL, time_us);
        }
        o = vmm_guest_observation(guest, OBSERVATION_STATUS);
        o.state = state;
        o.running = run_state_is_running(state);
        vmm_guest_observe(guest, &o);
}

void vmm_guest_did(VmmGuest *guest, Action action, IncidentKind kind) {
        RunState stopped = kind == INCIDENT_KIND_PANIC      ? RUN_STATE_GUEST_PANICKED
                           : kind == INCIDENT_KIND_WATCHDOG ? RUN_STATE_WATCHDOG
                                                            : RUN_STATE_PAUSED;

        if (vmm_guest_relays(guest))
                return;
        switch (action) {
        case ACTION_RESET:
                vmm_guest_tell_cause(guest, "RESET", false, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET, 0);
                vmm_guest_set_state(guest, RUN_STATE_RUNNING, SHUTDOWN_CAUSE_NONE, 0);
                break;
        case ACTION_PAUSE:
        case ACTION_DEBUG:
                vmm_guest_set_state(guest, stopped, SHUTDOWN_CAUSE_NONE, 0);
                break;
        case ACTION_INTERNAL_ERROR:
                vmm_guest_set_state(guest, RUN_STATE_INTERNAL_ERROR, SHUTDOWN_CAUSE_NONE, 0);
                break;
        case ACTION_POWEROFF:
        case ACTION_EXIT_FAILURE:
        case ACTION_FATAL:
                vmm_guest_set_state(guest,
                                    RUN_STATE_SHUTDOWN,
                                    kind == INCIDENT_KIND_PANIC ? SHUTDOWN_CAUSE_GUEST_PANIC
                                                                : SHUTDOWN_CAUSE_HOST_ERROR,
                                    0);
                break;
        case ACTION_SHUTDOWN:
                /* a guest that lives was asked, and answers by itself */
                if (kind == INCIDENT_KIND_PANIC)
                        vmm_guest_set_state(guest, RUN_STATE_SHUTDOWN, SHUTDOWN_CAUSE_GUEST_PANIC, 0);
                else
                        vmm_guest_tell(guest, "POWERDOWN", NULL, 0);
                break;
        case ACTION_RUN:
        case ACTION_NONE:
                vmm_guest_set_state(guest, RUN_STATE_RUNNING, SHUTDOWN_CAUSE_NONE, 0);
                break;
        case ACTION_INJECT_NMI:
        case ACTION_IGNORE:
        case ACTION_INJECT:
        case ACTION_SOFT_OFFLINE:
        case ACTION_HARD_OFFLINE:
        case ACTION_DISABLE:
        case _ACTION_MAX:
                break;
        }
}

/* Its life */

static int vmm_guest_on_settled(sd_event_source *source, uint64_t usec, void *userdata) {
        VmmGuest *guest = userdata;
        Observation o;

        guest->timer = sd_event_source_disable_unref(guest->timer);
        if (guest->exited) {
                vmm_guest_end(guest);
                return 0;
        }
        if (guest->client->peer)
                return 0;
        o = vmm_guest_observation(guest, OBSERVATION_DETACHED);
        o.text = "its VMM closed the connection";
        vmm_guest_observe(guest, &o);
        return 0;
}

static void vmm_guest_settle(VmmGuest *guest) {
        guest->timer = sd_event_source_disable_unref(guest->timer);
        (void) sd_event_add_time_relative(guest->vmm->event,
                                          &guest->timer,
                                          CLOCK_BOOTTIME,
                                          VMM_SETTLE_US,
                                          USEC_PER_MSEC,
                                          vmm_guest_on_settled,
                                          guest);
}

void vmm_guest_lost(VmmGuest *guest) {
        vmm_guest_settle(guest);
}

static int vmm_guest_on_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        VmmGuest *guest = userdata;

        guest->exit = sd_event_source_disable_unref(guest->exit);
        guest->exited = true;
        vmm_guest_settle(guest);
        return 0;
}

void vmm_guest_end(VmmGuest *guest) {
        VmmClient *client = guest->client;
        Observation o = vmm_guest_observation(guest, OBSERVATION_GONE);

        /* What was to be done is over first: the record that closes tells of it. */
        guest->act = vmm_act_free(guest->act);
        o.signal = guest->exited ? process_get_end_signal(&guest->process) : 0;
        vmm_guest_observe(guest, &o);
        vmm_guest_free(guest);
        vmm_client_settle(client);
}

VmmGuest *vmm_guest_free(VmmGuest *guest) {
        if (!guest)
                return NULL;
        vmm_act_free(guest->act);
        index_remove(&guest->vmm->guests, &guest->by_name);
        list_remove(&guest->link);
        sd_event_source_disable_unref(guest->exit);
        sd_event_source_disable_unref(guest->timer);
        process_deinit(&guest->process);
        free(guest->name);
        free(guest->given);
        free(guest->uuid);
        free(guest->version);
        free(guest);
        return NULL;
}

/* Registration */

static unsigned vmm_get_abilities(const RegisterMachineArg *arg) {
        static const struct {
                Action action;
                unsigned ability;
        } table[] = {
                { ACTION_RESET, ABILITY_RESET },
                { ACTION_PAUSE, ABILITY_STOP },
                { ACTION_RUN, ABILITY_CONT },
                { ACTION_SHUTDOWN, ABILITY_POWERDOWN | ABILITY_QUIT },
                { ACTION_POWEROFF, ABILITY_QUIT },
                { ACTION_EXIT_FAILURE, ABILITY_EXIT_FAILURE },
                { ACTION_INJECT_NMI, ABILITY_INJECT_NMI },
        };
        unsigned abilities = arg->has_relays && arg->relays ? ABILITY_RELAYED : 0;

        if (arg->n_can == 0)
                return abilities | ABILITY_RESET | ABILITY_STOP | ABILITY_CONT | ABILITY_POWERDOWN |
                       ABILITY_QUIT;
        for (size_t i = 0; i < arg->n_can; i++)
                for (size_t j = 0; j < ELEMENTSOF(table); j++)
                        if (table[j].action == arg->can[i])
                                abilities |= table[j].ability;
        return abilities;
}

static int vmm_guest_set_string(char **s, const char *value) {
        char *copy = value ? strdup(value) : NULL;

        if (value && !copy)
                return -ENOMEM;
        free(*s);
        *s = copy;
        return 0;
}

/* Takes `name` and the process when it succeeds. */
static int vmm_guest_new(VmmGuest **ret,
                         VmmClient *client,
                         char **name,
                         const char run[static PROCESS_RUN_ID_SIZE],
                         Process *process) {
        Vmm *vmm = client->vmm;
        VmmGuest *guest;
        int r;

        if (vmm->guests.n >= VMM_GUESTS_MAX)
                return -EUSERS;
        guest = calloc(1, sizeof(*guest));
        if (!guest)
                return -ENOMEM;
        guest->vmm = vmm;
        guest->client = client;
        guest->process = (Process) PROCESS_NULL;
        list_init(&guest->link);
        guest->name = *name;
        memcpy(guest->run, run, PROCESS_RUN_ID_SIZE);
        r = index_add(&vmm->guests, &guest->by_name, guest->name);
        if (r == 0)
                r = sd_event_add_io(vmm->event,
                                    &guest->exit,
                                    process->pidfd,
                                    EPOLLIN | EPOLLET,
                                    vmm_guest_on_exit,
                                    guest);
        if (r < 0) {
                guest->name = NULL;
                index_remove(&vmm->guests, &guest->by_name);
                vmm_guest_free(guest);
                return r;
        }
        *name = NULL;
        guest->process = *process;
        *process = (Process) PROCESS_NULL;
        list_append(&client->guests, &guest->link);
        *ret = guest;
        return 0;
}

typedef struct VmmTaken {
        const char *run;
        const char *name;
} VmmTaken;

static void vmm_look_for_run(WatchMachine *m, void *userdata) {
        VmmTaken *taken = userdata;

        if (m->backend == BACKEND_TYPE_QMP && m->attached && m->run && strcmp(m->run, taken->run) == 0)
                taken->name = m->name;
}

/* Whose the name is now. True: it may be had, and *ret is the guest that has it already, or NULL. */
static bool vmm_claim(VmmClient *client,
                      const char *name,
                      const char *run,
                      QmpCall *call,
                      VmmGuest **ret) {
        Vmm *vmm = client->vmm;
        const WatchMachine *m = watch_find(vmm->watch, name);
        VmmGuest *guest = vmm_find_guest(vmm, name);
        VmmTaken taken = { .run = run };
        const char *problem = NULL;

        if (guest && strcmp(guest->run, run) != 0) {
                if (guest->exited || process_has_ended(&guest->process)) {
                        vmm_guest_end(guest);
                        guest = NULL;
                } else {
                        problem = "is taken by another process";
                }
        } else if (guest && guest->client != client && guest->client->peer) {
                problem = "is registered by another client";
        }
        if (!problem && m && m->backend != BACKEND_TYPE_VMM && m->ended_us == 0 && m->attached)
                problem = "is taken by a machine that is reached another way";
        watch_foreach(vmm->watch, vmm_look_for_run, &taken);
        if (!problem && taken.name)
                problem = "belongs to a process that is reached by QMP";
        if (problem)
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "The name '%s' %s", name, problem);
        *ret = guest;
        return !problem;
}

static int vmm_guest_update(VmmGuest *guest, VmmClient *client, const RegisterMachineArg *arg) {
        int r;

        if (guest->client != client) {
                VmmClient *former = guest->client;

                list_remove(&guest->link);
                list_append(&client->guests, &guest->link);
                guest->client = client;
                vmm_client_settle(former);
        }
        guest->abilities = vmm_get_abilities(arg);
        guest->state = arg->has_state ? arg->state : RUN_STATE_RUNNING;
        r = vmm_guest_set_string(&guest->given, arg->machine);
        if (r == 0)
                r = vmm_guest_set_string(&guest->uuid, arg->uuid);
        if (r == 0)
                r = vmm_guest_set_string(&guest->version, arg->version);
        return r;
}

static void vmm_guest_attach(VmmGuest *guest) {
        Observation o = vmm_guest_observation(guest, OBSERVATION_ATTACHED);

        if (!guest->exited)
                guest->timer = sd_event_source_disable_unref(guest->timer);
        o.state = guest->state;
        o.running = run_state_is_running(guest->state);
        o.backend = BACKEND_TYPE_VMM;
        o.abilities = guest->abilities;
        o.shown = guest->given;
        o.uuid = guest->uuid;
        o.version = guest->version;
        o.pid = guest->process.pid;
        vmm_guest_observe(guest, &o);
}

static void vmm_register_answer(QmpCall *call, const VmmGuest *guest) {
        json_object *ret = NULL;
        GuestSettings settings;
        VmmMachine machine = { .name = guest->name };

        policy_get_guest(watch_get_policy(guest->vmm->watch), guest->name, &settings);
        machine.mode = settings.mode;
        if (vmm_machine_to_json(&machine, &ret) < 0)
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(ENOMEM));
        else
                qmp_call_return(call, ret);
}

/* The client of this connection, which has one only. NULL when the call has been answered. */
static VmmClient *vmm_register_client(Vmm *vmm, QmpCall *call, const char *uuid, uid_t uid) {
        QmpPeer *peer = qmp_call_get_peer(call);
        VmmClient *client = qmp_peer_get_owner(peer);
        const char *problem = NULL;

        if (!vmm_client_is_valid(uuid)) {
                problem = "Parameter 'client' expects a UUID";
        } else if (client) {
                if (strcasecmp(client->uuid, uuid) != 0)
                        problem = "This connection is another client's";
        } else {
                client = vmm_get_client(vmm, uuid, uid);
                if (!client)
                        problem = "Out of memory";
                else if (client->uid != uid || client->peer)
                        problem = "This client is connected already";
        }
        if (problem) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", problem);
                return NULL;
        }
        client->peer = peer;
        qmp_peer_set_owner(peer, client);
        vmm_client_settle(client);
        return client;
}

void vmm_register(Vmm *vmm, QmpCall *call, const RegisterMachineArg *arg) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        _cleanup_free_ char *name = NULL;
        char run[PROCESS_RUN_ID_SIZE];
        VmmGuest *guest = NULL;
        VmmClient *client;
        pid_t pid;
        uid_t uid;
        int r;

        r = name_escape(arg->machine, &name);
        if (r == 0)
                r = qmp_peer_get_credentials(qmp_call_get_peer(call), &pid, &uid);
        if (r < 0) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "No name: %s", strerror(-r));
                return;
        }
        if (!vmm_allows(vmm, uid, name) || strcmp(name, NAME_HOST) == 0) {
                vmm_refuse(vmm, call, uid, name);
                return;
        }
        if (arg->has_pid)
                pid = arg->pid > 0 && arg->pid <= INT32_MAX ? (pid_t) arg->pid : 0;
        r = pid > 0 ? process_open(pid, &process) : -ESRCH;
        if (r == 0)
                r = process_get_run_id(&process, run);
        if (r < 0) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Process %d: %s",
                              (int) pid,
                              strerror(-r));
                return;
        }
        client = vmm_register_client(vmm, call, arg->client, uid);
        if (!client || !vmm_claim(client, name, run, call, &guest))
                return;
        r = guest ? 0 : vmm_guest_new(&guest, client, &name, run, &process);
        if (r == 0)
                r = vmm_guest_update(guest, client, arg);
        if (r < 0) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
                return;
        }
        vmm_guest_attach(guest);
        vmm_register_answer(call, guest);
}
