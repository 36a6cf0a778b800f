/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * How the files of vmm.sock hang together. A client is a UUID, and a connection while it has one; a
 * guest is one run of a machine that a client registered, and lives as long as its process; a
 * call is a report whose client waits for the decision; an act is an action a client was told, or is
 * about to be.
 */
#include "daemon/machine/index.h"
#include "daemon/machine/process.h"
#include "daemon/source/vmm-notice.h"
#include "daemon/source/vmm.h"
#include "policy/util/list.h"

/* Reports remembered of a client: those it may send again after a connection was lost are the last
 * ones, and libtocsin keeps at most so many. */
#define VMM_NUMBERS_MAX 64
/* Clients remembered without a connection. One that is back later than that counts anew; incidents
 * are told by their records even then. */
#define VMM_AWAY_MAX 256
/* What is to be done waits so long for its record; then it goes ahead (design section 2). */
#define VMM_RECORD_US (200 * USEC_PER_MSEC)
/* As for QEMUs. */
#define VMM_GUESTS_MAX 16384
/* The end of a process and the end of its connection come in any order, and its last words first. */
#define VMM_SETTLE_US (100 * USEC_PER_MSEC)
#define VMM_UUID_SIZE 37
/* Reports of one client that wait for their answers at once; with more it waits itself. */
#define VMM_CALLS_MAX 64

typedef struct VmmClient VmmClient;
typedef struct VmmGuest VmmGuest;
typedef struct VmmCall VmmCall;
typedef struct VmmAct VmmAct;

typedef struct VmmAllow {
        uid_t uid;
        char *glob;
} VmmAllow;

struct Vmm {
        sd_event *event;
        QmpEndpoint *endpoint;
        Watch *watch;
        Store *store;
        const VmmOps *ops;
        void *userdata;
        VmmAllow *allow;
        size_t n_allow;
        Index clients, guests; /* by UUID, by name */
        List away;             /* clients without a connection or a guest; the longest away first */
        size_t n_away;
        /* those that wait for their record, in the order of writes */
        List waiting_acts, waiting_calls;
        uint64_t refusals;
};

/* Lives while it has a connection, a guest or a call, and a while longer. */
struct VmmClient {
        Vmm *vmm;
        IndexLink by_uuid;
        List away;
        char uuid[VMM_UUID_SIZE];
        uid_t uid;
        QmpPeer *peer; /* NULL: has no connection */
        List guests, calls;
        size_t n_calls;
        uint64_t numbers[VMM_NUMBERS_MAX];
        size_t next;
};

struct VmmGuest {
        Vmm *vmm;
        IndexLink by_name;
        List link; /* of the client */
        VmmClient *client;
        char *name, *given, *uuid, *version;
        char run[PROCESS_RUN_ID_SIZE];
        Process process;
        unsigned abilities;
        RunState state;
        VmmAct *act; /* or NULL; at most one of a machine's incidents is acted on at a time */
        sd_event_source *exit, *timer;
        bool exited;
};

struct VmmCall {
        List link; /* of the client */
        VmmClient *client;
        QmpCall *call;
        uint64_t number;
        Action action; /* by itself */

        /* an answer that waits for its record */
        List waiting; /* of the Vmm, while awaits > 0 */
        uint64_t awaits;
        json_object *answer;
        sd_event_source *timer;
};

/* An action a client is to carry out, or is carrying out. */
struct VmmAct {
        VmmGuest *guest;
        List waiting; /* of the Vmm, while awaits > 0 */
        uint64_t incident;
        IncidentKind kind;
        Action action;
        char *reason;
        uint64_t number; /* of the report it may be the answer of; 0: of none */
        bool asks;       /* it has not been answered: only a reply will be taken for one */
        uint64_t awaits; /* write that must be down first; 0: none */
        enum {
                VMM_ACT_NEW,    /* nothing is written yet */
                VMM_ACT_INTENT, /* written, or being written */
                VMM_ACT_TOLD,   /* its client's word is awaited */
        } stage;
        sd_event_source *timer;
};

static inline bool vmm_guest_relays(const VmmGuest *guest) {
        return guest->abilities & ABILITY_RELAYED;
}

/* vmm.c */
uint64_t vmm_now(const Vmm *vmm);
bool vmm_allows(const Vmm *vmm, uid_t uid, const char *machine); /* NULL: any at all */
/* Takes the call. */
void vmm_refuse(Vmm *vmm, QmpCall *call, uid_t uid, const char *machine);

/* vmm-client.c */
VmmClient *vmm_find_client(const Vmm *vmm, const char *uuid);
/* Makes it. NULL: no memory. */
VmmClient *vmm_get_client(Vmm *vmm, const char *uuid, uid_t uid);
/* Whether that number is new; it is then remembered. */
bool vmm_client_count(VmmClient *client, uint64_t number);
/* Something of it has come or gone. */
void vmm_client_settle(VmmClient *client);
void vmm_client_free(VmmClient *client);
void vmm_client_lost(VmmClient *client);

/* vmm-guest.c */
VmmGuest *vmm_find_guest(const Vmm *vmm, const char *name);
Observation vmm_guest_observation(const VmmGuest *guest, ObservationType type);
/* The machine of the watch while this guest is its run, and nobody else reaches it. */
const WatchMachine *vmm_guest_get_machine(const VmmGuest *guest);
/* Observes an event. */
void vmm_guest_tell(VmmGuest *guest, const char *event, json_object *data, uint64_t time_us);
/* Makes the events that this change is told by. */
void vmm_guest_set_state(VmmGuest *guest, RunState state, ShutdownCause reason, uint64_t time_us);
/* What the client did about an incident shows as it would with QEMU. */
void vmm_guest_did(VmmGuest *guest, Action action, IncidentKind kind);
/* Its client has lost its connection. */
void vmm_guest_lost(VmmGuest *guest);
/* The run is over: says so, and frees it. */
void vmm_guest_end(VmmGuest *guest);
VmmGuest *vmm_guest_free(VmmGuest *guest);
/* Takes the call. */
void vmm_register(Vmm *vmm, QmpCall *call, const RegisterMachineArg *arg);

/* vmm-report.c */
/* The guest of a report that its sender may make; NULL when that has been answered with an error. */
VmmGuest *vmm_check(QmpCall *call, const char *machine, const char *client);
/* Where a report ends, whatever reading it came to. Takes call, notice and error. */
void vmm_take(QmpCall *call, int r, VmmNotice *notice, QapiError *error);
/* Takes the call, and answers it with {} once all there is to write has been written: what is
 * acknowledged is not forgotten. */
void vmm_confirm(VmmClient *client, QmpCall *call, uint64_t number);
VmmCall *vmm_find_call(const VmmClient *client, uint64_t number);
/* Answers and frees it; `incident` NULL: there is none. */
void vmm_call_answer(VmmCall *call, const IncidentInfo *incident);
/* It has not waited for the decision, and is told the incident alone. */
void vmm_call_end_acted(VmmCall *call, uint64_t incident);
/* The write is down that answers waited for. */
void vmm_calls_recorded(Vmm *vmm, uint64_t write);
void vmm_call_free(VmmCall *call);

/* vmm-act.c */
/* The report that the act answers was sent again. `acted`: and its VMM did not wait for us. */
void vmm_act_asked(VmmAct *act, VmmCall *call, bool acted, Action action);
void vmm_act_done(VmmGuest *guest, const ReportDoneArg *arg);
/* Leaves the record as it is, to be taken up when the machine is attached again. */
VmmAct *vmm_act_free(VmmAct *act);
