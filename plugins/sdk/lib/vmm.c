/* SPDX-License-Identifier: MIT */
/*
 * The calls of <tocsin/vmm.h>. The difficulty is whoever waits while others use the handle too: one of
 * those that wait polls the connection for all of them, without the lock; the others wait for the
 * condition; and the thread of an event loop may take the answer away from the one that polls,
 * who is then poked.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "plugins/sdk/lib/vmm-private.h"

#define VMM_EXPORT __attribute__((__visibility__("default")))
#define VMM_SOCKET "/run/tocsin/vmm.sock"
#define VMM_DEADLINE_MAX_MS (3600U * 1000)

static const struct tocsin_vmm_options vmm_no_options = { sizeof(vmm_no_options), NULL, NULL, NULL, NULL };

/* RFC 4122, version 4 */
static int vmm_make_uuid(char ret[37]) {
        unsigned char b[16];

        if (getrandom(b, sizeof(b), 0) != (ssize_t) sizeof(b))
                return -EIO;
        b[6] = (unsigned char) ((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char) ((b[8] & 0x3f) | 0x80);
        (void) snprintf(ret,
                        37,
                        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        b[0],
                        b[1],
                        b[2],
                        b[3],
                        b[4],
                        b[5],
                        b[6],
                        b[7],
                        b[8],
                        b[9],
                        b[10],
                        b[11],
                        b[12],
                        b[13],
                        b[14],
                        b[15]);
        return 0;
}

static int vmm_open_fds(struct tocsin_vmm *vmm) {
        struct epoll_event event;

        memset(&event, 0, sizeof(event));
        event.events = EPOLLIN;
        vmm->poll_fd = epoll_create1(EPOLL_CLOEXEC);
        vmm->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        vmm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        vmm->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (vmm->poll_fd < 0 || vmm->timer_fd < 0 || vmm->wake_fd < 0 || vmm->poke_fd < 0 ||
            epoll_ctl(vmm->poll_fd, EPOLL_CTL_ADD, vmm->timer_fd, &event) < 0 ||
            epoll_ctl(vmm->poll_fd, EPOLL_CTL_ADD, vmm->wake_fd, &event) < 0)
                return -errno;
        return 0;
}

static int vmm_open(struct tocsin_vmm *vmm, const struct tocsin_vmm_options *options) {
        struct sockaddr_un address;
        pthread_condattr_t attr;
        int r;

        vmm->path = strdup(options->socket ? options->socket : VMM_SOCKET);
        if (!vmm->path)
                return -ENOMEM;
        if (strlen(vmm->path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        if (options->client && !vmm_is_uuid(options->client))
                return -EINVAL;
        if (options->client)
                memcpy(vmm->client, options->client, sizeof(vmm->client));
        r = options->client ? 0 : vmm_make_uuid(vmm->client);
        if (r == 0)
                r = vmm_open_fds(vmm);
        if (r < 0)
                return r;
        vmm->act = options->act;
        vmm->userdata = options->userdata;
        (void) pthread_mutex_init(&vmm->lock, NULL);
        (void) pthread_condattr_init(&attr);
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&vmm->changed, &attr);
        (void) pthread_condattr_destroy(&attr);
        return 0;
}

static void vmm_close_fd(int fd) {
        if (fd >= 0)
                (void) close(fd);
}

static void vmm_machine_free(struct vmm_machine *machine) {
        free(machine->name);
        free(machine->uuid);
        free(machine->version);
        free(machine);
}

/* But for lock and condition. */
static void vmm_release(struct tocsin_vmm *vmm) {
        vmm_close_fd(vmm->fd);
        vmm_close_fd(vmm->poll_fd);
        vmm_close_fd(vmm->timer_fd);
        vmm_close_fd(vmm->wake_fd);
        vmm_close_fd(vmm->poke_fd);
        while (vmm->entries) {
                struct vmm_entry *entry = vmm->entries;

                vmm->entries = entry->next;
                vmm_entry_free(entry);
        }
        while (vmm->machines) {
                struct vmm_machine *machine = vmm->machines;

                vmm->machines = machine->next;
                vmm_machine_free(machine);
        }
        while (vmm->deliveries) {
                struct vmm_delivery *delivery = vmm->deliveries;

                vmm->deliveries = delivery->next;
                free(delivery->machine);
                free(delivery);
        }
        free(vmm->in.data);
        free(vmm->out.data);
        free(vmm->path);
        free(vmm);
}

VMM_EXPORT int tocsin_vmm_new(struct tocsin_vmm **ret, const struct tocsin_vmm_options *options) {
        struct tocsin_vmm *vmm;
        int r;

        if (options && options->size < sizeof(*options))
                return -EINVAL;
        vmm = calloc(1, sizeof(*vmm));
        if (!vmm)
                return -ENOMEM;
        vmm->fd = vmm->poll_fd = vmm->timer_fd = vmm->wake_fd = vmm->poke_fd = -1;
        vmm->entries_end = &vmm->entries;
        vmm->deliveries_end = &vmm->deliveries;
        r = vmm_open(vmm, options ? options : &vmm_no_options);
        if (r < 0) {
                vmm_release(vmm);
                return r;
        }
        vmm_connect(vmm);
        *ret = vmm;
        return 0;
}

VMM_EXPORT struct tocsin_vmm *tocsin_vmm_free(struct tocsin_vmm *vmm) {
        if (!vmm)
                return NULL;
        (void) pthread_cond_destroy(&vmm->changed);
        (void) pthread_mutex_destroy(&vmm->lock);
        vmm_release(vmm);
        return NULL;
}

VMM_EXPORT int tocsin_vmm_get_fd(const struct tocsin_vmm *vmm) {
        return vmm->poll_fd;
}

static void vmm_drain(int fd) {
        uint64_t count;
        ssize_t n;

        n = read(fd, &count, sizeof(count));
        (void) n;
}

static void vmm_call_back(struct tocsin_vmm *vmm, struct vmm_delivery *delivery) {
        struct tocsin_vmm_act act;

        if (delivery->func) {
                delivery->func(&delivery->decision, delivery->userdata);
        } else {
                memset(&act, 0, sizeof(act));
                act.size = sizeof(act);
                act.machine = delivery->machine;
                act.incident = delivery->decision.incident;
                act.action = delivery->decision.action;
                act.reason = delivery->decision.reason;
                vmm->act(&act, vmm->userdata);
        }
        free(delivery->machine);
        free(delivery);
}

VMM_EXPORT int tocsin_vmm_dispatch(struct tocsin_vmm *vmm) {
        struct vmm_delivery *delivery;

        (void) pthread_mutex_lock(&vmm->lock);
        vmm_drain(vmm->wake_fd);
        vmm_drain(vmm->timer_fd);
        vmm_expire(vmm);
        if (vmm->fd < 0 && vmm->retry_us <= vmm_get_time(CLOCK_MONOTONIC))
                vmm_connect(vmm);
        vmm_pump(vmm);
        while ((delivery = vmm->deliveries)) {
                vmm->deliveries = delivery->next;
                if (!vmm->deliveries)
                        vmm->deliveries_end = &vmm->deliveries;
                vmm->n_deliveries--;
                (void) pthread_mutex_unlock(&vmm->lock);
                vmm_call_back(vmm, delivery);
                (void) pthread_mutex_lock(&vmm->lock);
                vmm_pump(vmm); /* what the callback had to say */
        }
        vmm_arm(vmm);
        (void) pthread_mutex_unlock(&vmm->lock);
        return 0;
}

/* Machines */

static char *vmm_copy(const char *s, bool *failed) {
        char *copy = s ? strdup(s) : NULL;

        *failed |= s && !copy;
        return copy;
}

static struct vmm_machine *vmm_machine_new(const struct tocsin_vmm_machine *said) {
        struct vmm_machine *machine = calloc(1, sizeof(*machine));
        bool failed = false;

        if (!machine)
                return NULL;
        memcpy(&machine->said, said, said->size < sizeof(*said) ? said->size : sizeof(*said));
        machine->said.size = sizeof(machine->said);
        machine->said.name = machine->name = vmm_copy(machine->said.name, &failed);
        machine->said.uuid = machine->uuid = vmm_copy(machine->said.uuid, &failed);
        machine->said.version = machine->version = vmm_copy(machine->said.version, &failed);
        if (!failed)
                return machine;
        vmm_machine_free(machine);
        return NULL;
}

static struct vmm_machine **vmm_find_machine(struct tocsin_vmm *vmm, const char *name) {
        struct vmm_machine **at = &vmm->machines;

        while (*at && strcmp((*at)->name, name) != 0)
                at = &(*at)->next;
        return at;
}

VMM_EXPORT int tocsin_vmm_register(struct tocsin_vmm *vmm, const struct tocsin_vmm_machine *said) {
        struct vmm_machine *machine, **at;
        int r = 0;

        if (!VMM_HAS(said, name) || !said->name || !said->name[0])
                return -EINVAL;
        machine = vmm_machine_new(said);
        if (!machine)
                return -ENOMEM;
        (void) pthread_mutex_lock(&vmm->lock);
        at = vmm_find_machine(vmm, machine->name);
        if (*at) {
                machine->next = (*at)->next;
                vmm_machine_free(*at);
                *at = machine;
        } else if (vmm->n_machines < VMM_MACHINES_MAX) {
                *at = machine;
                vmm->n_machines++;
        } else {
                vmm_machine_free(machine);
                r = -ENOBUFS;
        }
        if (r == 0 && vmm->state >= VMM_REGISTERING) {
                r = vmm_send_register(vmm, machine);
                vmm->registering += vmm->state == VMM_REGISTERING;
        }
        if (vmm->fd < 0)
                vmm_connect(vmm);
        vmm_pump(vmm);
        (void) pthread_mutex_unlock(&vmm->lock);
        return r;
}

static int vmm_send_unregister(struct tocsin_vmm *vmm, const char *name) {
        struct vmm_json json;
        char text[1024];

        json = (struct vmm_json){ text, sizeof(text), 0 };
        vmm_json_add(&json,
                     "{\"execute\": \"unregister-machine\", \"id\": 0, \"arguments\": {\"client\": \"");
        vmm_json_add(&json, vmm->client);
        vmm_json_add(&json, "\", \"machine\": ");
        vmm_json_add_string(&json, name, strlen(name));
        vmm_json_add(&json, "}}\r\n");
        return json.length < sizeof(text) ? vmm_send(vmm, text, json.length) : -ENAMETOOLONG;
}

VMM_EXPORT int tocsin_vmm_unregister(struct tocsin_vmm *vmm, const char *name) {
        struct vmm_machine **at, *machine;
        int r = 0;

        (void) pthread_mutex_lock(&vmm->lock);
        vmm_pump(vmm); /* what was reported before goes out before */
        at = vmm_find_machine(vmm, name);
        machine = *at;
        if (machine) {
                if (vmm->state == VMM_READY)
                        r = vmm_send_unregister(vmm, name);
                *at = machine->next;
                vmm->n_machines--;
                vmm_machine_free(machine);
                vmm_pump(vmm);
        }
        (void) pthread_mutex_unlock(&vmm->lock);
        return machine ? r : -ENOENT;
}

VMM_EXPORT int tocsin_vmm_get_state(struct tocsin_vmm *vmm, const char **ret_error) {
        int ready;

        (void) pthread_mutex_lock(&vmm->lock);
        vmm_pump(vmm);
        ready = vmm->state == VMM_READY;
        if (ret_error)
                *ret_error = vmm->error;
        (void) pthread_mutex_unlock(&vmm->lock);
        return ready;
}

/* Reports */

/* What a machine is registered with after the next reconnect. */
static void vmm_note_state(struct tocsin_vmm *vmm, const struct tocsin_vmm_report *report) {
        struct vmm_machine *machine;

        if (report->kind != TOCSIN_VMM_RUN_STATE)
                return;
        machine = *vmm_find_machine(vmm, report->machine);
        if (!machine)
                return;
        machine->said.has_state = true;
        machine->said.state = report->state;
}

static void vmm_wait(struct tocsin_vmm *vmm, uint64_t deadline_us, uint64_t now_us) {
        struct timespec until = { (time_t) (deadline_us / 1000000),
                                  (long) (deadline_us % 1000000) * 1000 };
        struct pollfd fds[2];

        if (vmm->polling) {
                (void) pthread_cond_timedwait(&vmm->changed, &vmm->lock, &until);
                return;
        }
        vmm->polling = true;
        memset(fds, 0, sizeof(fds));
        fds[0].fd = vmm->fd;
        fds[0].events = (short) (POLLIN | (vmm->out.length > 0 ? POLLOUT : 0));
        fds[1].fd = vmm->poke_fd;
        fds[1].events = POLLIN;
        (void) pthread_mutex_unlock(&vmm->lock);
        (void) poll(fds, 2, (int) ((deadline_us - now_us + 999) / 1000));
        (void) pthread_mutex_lock(&vmm->lock);
        vmm->polling = false;
        vmm_drain(vmm->poke_fd);
        vmm_pump(vmm);
        (void) pthread_cond_broadcast(&vmm->changed);
}

VMM_EXPORT int tocsin_vmm_ask(struct tocsin_vmm *vmm,
                              const struct tocsin_vmm_report *report,
                              unsigned deadline_ms,
                              struct tocsin_vmm_decision *ret) {
        struct vmm_waiter waiter;
        struct vmm_entry *entry;
        uint64_t deadline_us, now_us;
        int r;

        memset(&waiter, 0, sizeof(waiter));
        vmm_fall_back(&waiter.decision, report->action, "the report is not valid");
        *ret = waiter.decision;
        r = vmm_report_check(report);
        if (r < 0 || !vmm_report_is_decided(report))
                return -EINVAL;
        if (deadline_ms > VMM_DEADLINE_MAX_MS)
                deadline_ms = VMM_DEADLINE_MAX_MS;
        (void) pthread_mutex_lock(&vmm->lock);
        deadline_us = vmm_get_time(CLOCK_MONOTONIC) + UINT64_C(1000) * deadline_ms;
        r = vmm_entry_new(vmm, report, &entry);
        if (r < 0) {
                (void) pthread_mutex_unlock(&vmm->lock);
                vmm_fall_back(ret, report->action, "the report could not be kept");
                return r;
        }
        entry->waiter = &waiter;
        if (vmm->fd < 0)
                vmm_connect(vmm);
        if (vmm->fd < 0 && !waiter.done)
                vmm_entry_give_up(vmm, entry, "tocsind is away");
        vmm_pump(vmm);
        while (!waiter.done && (now_us = vmm_get_time(CLOCK_MONOTONIC)) < deadline_us)
                vmm_wait(vmm, deadline_us, now_us);
        if (!waiter.done)
                vmm_entry_give_up(vmm, entry, "tocsind did not answer in time");
        (void) pthread_mutex_unlock(&vmm->lock);
        *ret = waiter.decision;
        return 0;
}

VMM_EXPORT int tocsin_vmm_ask_later(struct tocsin_vmm *vmm,
                                    const struct tocsin_vmm_report *report,
                                    unsigned deadline_ms,
                                    void (*func)(const struct tocsin_vmm_decision *decision,
                                                 void *userdata),
                                    void *userdata) {
        struct vmm_entry *entry;
        int r;

        if (vmm_report_check(report) < 0 || !vmm_report_is_decided(report) || !func)
                return -EINVAL;
        (void) pthread_mutex_lock(&vmm->lock);
        r = vmm_entry_new(vmm, report, &entry);
        if (r == 0) {
                entry->func = func;
                entry->userdata = userdata;
                entry->deadline_us = vmm_get_time(CLOCK_MONOTONIC) + UINT64_C(1000) * deadline_ms;
                if (vmm->fd < 0)
                        vmm_connect(vmm);
                if (vmm->fd < 0 && entry->func)
                        vmm_entry_give_up(vmm, entry, "tocsind is away");
                vmm_pump(vmm);
                vmm_arm(vmm);
        }
        (void) pthread_mutex_unlock(&vmm->lock);
        return r;
}

VMM_EXPORT int tocsin_vmm_tell(struct tocsin_vmm *vmm, const struct tocsin_vmm_report *report) {
        struct vmm_entry *entry;
        int r;

        r = vmm_report_check(report);
        if (r < 0)
                return r;
        (void) pthread_mutex_lock(&vmm->lock);
        r = vmm_entry_new(vmm, report, &entry);
        if (r == 0) {
                entry->acted = entry->decided;
                vmm_note_state(vmm, report);
                if (vmm->fd < 0)
                        vmm_connect(vmm);
                vmm_pump(vmm);
        }
        (void) pthread_mutex_unlock(&vmm->lock);
        return r;
}

VMM_EXPORT int tocsin_vmm_done(struct tocsin_vmm *vmm,
                               const char *machine,
                               uint64_t incident,
                               enum tocsin_action action,
                               const char *error) {
        if (!machine || !machine[0] || !vmm_action_to_string(action))
                return -EINVAL;
        if (incident == 0)
                return 0; /* nobody is to be told */
        (void) pthread_mutex_lock(&vmm->lock);
        vmm_queue_done(vmm, machine, incident, action, error);
        if (vmm->fd < 0)
                vmm_connect(vmm);
        vmm_pump(vmm);
        (void) pthread_mutex_unlock(&vmm->lock);
        return 0;
}
