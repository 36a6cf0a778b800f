/* SPDX-License-Identifier: MIT */
/*
 * Reports that wait to be sent or answered, and decisions that wait for their callback. What must
 * not happen is that a decision is carried out twice, or that tocsind believes in one that was not:
 * whoever stops waiting for an answer has done what the report said he would, and tocsind is told
 * so: with the report if that has not gone out, else when its answer comes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/sdk/lib/vmm-private.h"

void vmm_fall_back(struct tocsin_vmm_decision *ret, enum tocsin_action action, const char *why) {
        memset(ret, 0, sizeof(*ret));
        ret->action = action;
        ret->fallback = true;
        (void) snprintf(ret->reason, sizeof(ret->reason), "%s", why);
}

void vmm_entry_free(struct vmm_entry *entry) {
        free(entry->machine);
        free(entry->text);
        free(entry);
}

static void vmm_entry_unlink(struct tocsin_vmm *vmm, struct vmm_entry *entry) {
        struct vmm_entry **at = &vmm->entries;

        while (*at != entry)
                at = &(*at)->next;
        *at = entry->next;
        if (vmm->entries_end == &entry->next)
                vmm->entries_end = at;
        vmm->n_entries--;
}

/* The oldest that nobody waits for makes room. */
static bool vmm_make_room(struct tocsin_vmm *vmm) {
        for (struct vmm_entry *entry = vmm->entries; entry; entry = entry->next) {
                if (entry->sent || entry->waiter || entry->func)
                        continue;
                vmm_entry_unlink(vmm, entry);
                vmm_entry_free(entry);
                return true;
        }
        return false;
}

static int vmm_entry_encode(struct vmm_entry *entry,
                            const struct tocsin_vmm_report *report,
                            const char *client) {
        struct vmm_json json = { NULL, 0, 0 };

        vmm_report_encode(&json, report, client, entry->number, &entry->flags_at);
        entry->text = malloc(json.length + 1);
        if (!entry->text)
                return -ENOMEM;
        entry->length = json.length;
        json = (struct vmm_json){ entry->text, json.length + 1, 0 };
        vmm_report_encode(&json, report, client, entry->number, &entry->flags_at);
        return 0;
}

int vmm_entry_new(struct tocsin_vmm *vmm,
                  const struct tocsin_vmm_report *report,
                  struct vmm_entry **ret) {
        struct tocsin_vmm_report timed = *report;
        struct vmm_entry *entry;

        if (vmm->n_entries >= TOCSIN_VMM_QUEUE_MAX && !vmm_make_room(vmm))
                return -ENOBUFS;
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        if (timed.time_us == 0)
                timed.time_us = vmm_get_time(CLOCK_REALTIME);
        entry->number = vmm->number + 1;
        entry->decided = vmm_report_is_decided(report);
        entry->action = report->action;
        entry->machine = strdup(report->machine);
        if (!entry->machine || vmm_entry_encode(entry, &timed, vmm->client) < 0) {
                vmm_entry_free(entry);
                return -ENOMEM;
        }
        vmm->number++;
        *vmm->entries_end = entry;
        vmm->entries_end = &entry->next;
        vmm->n_entries++;
        *ret = entry;
        return 0;
}

static void vmm_deliver(struct tocsin_vmm *vmm,
                        const char *machine,
                        vmm_decided_func func,
                        void *userdata,
                        const struct tocsin_vmm_decision *decision) {
        struct vmm_delivery *delivery = calloc(1, sizeof(*delivery));

        if (!delivery)
                return;
        delivery->func = func;
        delivery->userdata = userdata;
        delivery->decision = *decision;
        delivery->machine = strdup(machine);
        if (!delivery->machine) {
                free(delivery);
                return;
        }
        *vmm->deliveries_end = delivery;
        vmm->deliveries_end = &delivery->next;
        vmm->n_deliveries++;
        vmm_wake(vmm->wake_fd);
}

/* Whoever waits for the entry gets this. False: nobody does. */
static bool vmm_entry_resolve(struct tocsin_vmm *vmm,
                              struct vmm_entry *entry,
                              const struct tocsin_vmm_decision *decision) {
        if (entry->waiter) {
                entry->waiter->decision = *decision;
                entry->waiter->done = true;
                entry->waiter = NULL;
                (void) pthread_cond_broadcast(&vmm->changed);
                if (vmm->polling)
                        vmm_wake(vmm->poke_fd);
                return true;
        }
        if (!entry->func)
                return false;
        vmm_deliver(vmm, entry->machine, entry->func, entry->userdata, decision);
        entry->func = NULL;
        return true;
}

void vmm_entry_give_up(struct tocsin_vmm *vmm, struct vmm_entry *entry, const char *why) {
        struct tocsin_vmm_decision decision;

        vmm_fall_back(&decision, entry->action, why);
        (void) vmm_entry_resolve(vmm, entry, &decision);
        if (!entry->sent)
                entry->acted = true;
}

struct vmm_known *vmm_find_known(struct tocsin_vmm *vmm, uint64_t incident) {
        for (size_t i = 0; i < VMM_KNOWN_MAX; i++)
                if (incident != 0 && vmm->known[i].incident == incident)
                        return &vmm->known[i];
        return NULL;
}

static void vmm_know(struct tocsin_vmm *vmm, uint64_t incident, enum tocsin_action action) {
        struct vmm_known *known = &vmm->known[vmm->n_known++ % VMM_KNOWN_MAX];

        memset(known, 0, sizeof(*known));
        known->incident = incident;
        known->action = action;
}

void vmm_queue_done(struct tocsin_vmm *vmm,
                    const char *machine,
                    uint64_t incident,
                    enum tocsin_action action,
                    const char *error) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_DONE, machine);
        struct vmm_known *known = vmm_find_known(vmm, incident);
        struct vmm_entry *entry;

        if (known) {
                known->done = true;
                known->action = action;
                (void) snprintf(known->error, sizeof(known->error), "%s", error ? error : "");
        }
        report.incident = incident;
        report.action = action;
        report.error = error;
        (void) vmm_entry_new(vmm, &report, &entry); /* else tocsind stops waiting after a minute */
}

/* An action after which the guest is not what was decided about. */
static bool vmm_is_final(enum tocsin_action action) {
        return action == TOCSIN_ACTION_RESET || action == TOCSIN_ACTION_SHUTDOWN ||
               action == TOCSIN_ACTION_POWEROFF || action == TOCSIN_ACTION_EXIT_FAILURE ||
               action == TOCSIN_ACTION_FATAL;
}

/* The answer came when nobody waited any more: he has done what his report said. */
static void vmm_entry_late(struct tocsin_vmm *vmm,
                           const struct vmm_entry *entry,
                           const struct tocsin_vmm_decision *decision) {
        if (decision->incident == 0 || decision->due_us != 0)
                return;
        vmm_know(vmm, decision->incident, decision->action);
        if (decision->action != entry->action && !vmm_is_final(entry->action) && vmm->act)
                vmm_deliver(vmm, entry->machine, NULL, NULL, decision);
        else
                vmm_queue_done(vmm, entry->machine, decision->incident, entry->action, NULL);
}

void vmm_entry_answered(struct tocsin_vmm *vmm,
                        uint64_t number,
                        const struct tocsin_vmm_decision *decision,
                        const char *error) {
        struct tocsin_vmm_decision refused;
        struct vmm_entry *entry = vmm->entries;

        while (entry && entry->number != number)
                entry = entry->next;
        if (!entry)
                return;
        vmm_entry_unlink(vmm, entry);
        if (error) {
                (void) snprintf(vmm->error, sizeof(vmm->error), "%s", error);
                vmm_fall_back(&refused, entry->action, error);
                (void) vmm_entry_resolve(vmm, entry, &refused);
        } else if (entry->decided && decision) {
                bool waited = vmm_entry_resolve(vmm, entry, decision);

                if (waited && decision->incident != 0 && decision->due_us == 0)
                        vmm_know(vmm, decision->incident, decision->action);
                else if (!waited && !entry->acted)
                        vmm_entry_late(vmm, entry, decision);
        }
        vmm_entry_free(entry);
}

void vmm_expire(struct tocsin_vmm *vmm) {
        uint64_t now = vmm_get_time(CLOCK_MONOTONIC);

        for (struct vmm_entry *entry = vmm->entries; entry; entry = entry->next)
                if (entry->func && entry->deadline_us <= now)
                        vmm_entry_give_up(vmm, entry, "tocsind did not answer in time");
}

void vmm_take_act(struct tocsin_vmm *vmm, const char *machine, const struct tocsin_vmm_decision *act) {
        struct vmm_known *known = vmm_find_known(vmm, act->incident);

        if (known) {
                /* It does not know what was done, or that it was told. */
                if (known->done)
                        vmm_queue_done(vmm,
                                       machine,
                                       act->incident,
                                       known->action,
                                       known->error[0] ? known->error : NULL);
                return;
        }
        vmm_know(vmm, act->incident, act->action);
        if (vmm->act)
                vmm_deliver(vmm, machine, NULL, NULL, act);
        else
                vmm_queue_done(vmm,
                               machine,
                               act->incident,
                               act->action,
                               "this VMM carries out answers only");
}
