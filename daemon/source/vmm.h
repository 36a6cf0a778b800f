/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * vmm.sock: VMMs that are not QEMU, and bridges, report over it what happens to their machines, and
 * are told what to do. What they report becomes Observations; what is decided becomes the reply to
 * a report, or the event ACT. It decides nothing.
 */
#include <systemd/sd-event.h>

#include "daemon/qmp/server.h"
#include "daemon/store/store.h"
#include "policy/watch.h"

typedef struct Vmm Vmm;

/* A VMM has so long to carry an action out and say so. */
#define VMM_DONE_US (60 * USEC_PER_SEC)

typedef struct VmmOps {
        void (*observe)(const Observation *observation, void *userdata);
        /* As ActOps: a step of an action is to be written down; the action is over. */
        uint64_t (*step)(const char *machine,
                         uint64_t incident,
                         const char *what,
                         const char *error,
                         const char *text,
                         void *userdata);
        void (*end)(const char *machine, uint64_t incident, IncidentOutcome outcome, void *userdata);
        /* The number of the last write, for vmm_recorded(). */
        uint64_t (*get_writes)(void *userdata);
        /* The VMM has been told what was decided about it. */
        void (*answered)(const char *machine, uint64_t incident, void *userdata);
        /* Something an operator should know; NULL text: it is mended. */
        void (*problem)(const char *key, const char *text, void *userdata);
} VmmOps;

/* Both are borrowed, and outlive it. */
int vmm_new(Vmm **ret,
            sd_event *event,
            QmpServer *server,
            Watch *watch,
            Store *store,
            const VmmOps *ops,
            void *userdata);
/* In two steps: nobody is served any more; and, when the server is gone, what was left open. */
void vmm_close(Vmm *vmm);
Vmm *vmm_free(Vmm *vmm);
DEFINE_CLEANUP(Vmm *, vmm_free);

/* [vmm] allow=: "USER:GLOB", NULL-terminated. May block on NSS. */
int vmm_configure(Vmm *vmm, char *const *allow);
/* Whether that is one; the configuration asks. */
bool vmm_allow_is_valid(const char *text);

/* The watch has decided, and a VMM waits for it, with nothing to be carried out now. `write` is that of
 * the record as it stands. */
void vmm_answer(Vmm *vmm, const IncidentInfo *incident, uint64_t write);
/* Carry out, as act_begin(): the machine's client is told, and its word awaited. */
int vmm_act(Vmm *vmm, const WatchMachine *machine, const IncidentInfo *incident, ActPoint from);
/* As act_closed() and act_recorded(). */
void vmm_closed(Vmm *vmm, const char *machine, uint64_t incident);
void vmm_recorded(Vmm *vmm, uint64_t write, int r);

/* For handlers: the one that serves this call. */
Vmm *vmm_from_call(QmpCall *call);
