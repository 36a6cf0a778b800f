/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * tocsind put together: sources and backends on one side, the watch in the middle, the QMP server,
 * the store and the actions on the other. This is the only place that knows them all.
 */
#include <systemd/sd-event.h>

#include "daemon/act/act.h"
#include "daemon/config/config.h"
#include "daemon/evidence/evidence.h"
#include "daemon/journal.h"
#include "daemon/kernel/kernel-client.h"
#include "daemon/machine/machines.h"
#include "daemon/plugin/plugins.h"
#include "daemon/qmp/server.h"
#include "daemon/source/sources.h"
#include "daemon/source/vmm.h"
#include "daemon/store/store.h"
#include "daemon/writes.h"
#include "policy/watch.h"

typedef struct Daemon Daemon;
typedef struct DaemonSweep DaemonSweep;
typedef struct DaemonNotify DaemonNotify;

struct Daemon {
        sd_event *event;
        const char *config_file; /* --config, or NULL */
        Config *config;
        int lock_fd; /* of the runtime folder */
        uint64_t started_us;
        Store *store;
        QmpServer *server;
        QmpEndpoint *control;
        KernelClient *kernel;
        Journal journal;
        Machines *machines;
        Watch *watch;
        Evidence *evidence;
        Act *act;
        Plugins *plugins;
        Vmm *vmm;
        Sources *sources;
        sd_event_source *deadline;
        uint64_t deadline_us;
        Writes writes;         /* records on their way to the disk */
        json_object *problems; /* subject -> sentence */
        unsigned tells;        /* set-actions under way */
        size_t files_max;      /* of guests and endpoints */
        bool stopping;
        /* daemon-evidence.c */
        char *evidence_program;
        DaemonSweep *sweep;
        DaemonNotify *notify; /* daemon-notify.c */
        /* daemon-note.c */
        List amends;
        unsigned n_amends;
};

/* Everything up to the loop. What is wrong has been reported when it fails. */
int daemon_new(Daemon **ret, const char *config_file);
Daemon *daemon_free(Daemon *daemon);
DEFINE_CLEANUP(Daemon *, daemon_free);

Moment daemon_now(const Daemon *daemon);
/* After any call into the watch: the timer follows its deadline. */
void daemon_arm(Daemon *daemon);

/* daemon-watch.c */
extern const WatchOps daemon_watch_ops;
extern const ActOps daemon_act_ops;
extern const MachinesOps daemon_machines_ops;
void daemon_recorded(uint64_t number, int r, void *daemon);
void daemon_observe(const Observation *observation, void *daemon);
/* A step of an action, and its end: for ActOps, and whoever else has something carried out. */
uint64_t daemon_step(const char *machine,
                     uint64_t incident,
                     const char *what,
                     const char *error,
                     const char *text,
                     void *daemon);
void daemon_acted(const char *machine, uint64_t incident, IncidentOutcome outcome, void *daemon);
/* Answers of QEMU to what tocsin asks for itself. */
#define DAEMON_ASK_US (10 * USEC_PER_SEC)

/* daemon-evidence.c */
int daemon_open_evidence(Daemon *daemon);
void daemon_close_evidence(Daemon *daemon);

/* daemon-note.c: a step of an incident, open or closed */
typedef struct DaemonNote {
        const char *what, *text;
        const char *error;        /* or NULL */
        const EvidenceFile *file; /* that is kept now, or NULL */
        const char *drops;        /* file that is kept no longer, or NULL */
        const char *headline;     /* what its kernel said as it panicked, or NULL */
        const char *trace;        /* the call trace to it, or NULL */
} DaemonNote;
/* Logs it, too. Not from within the watch. */
void daemon_note(Daemon *daemon, const char *machine, uint64_t incident, const DaemonNote *note);
void daemon_forget_notes(Daemon *daemon); /* after store_close() */

/* daemon-notify.c */
int daemon_open_notify(Daemon *daemon);
void daemon_close_notify(Daemon *daemon);
/* Whoever is to be told of this record, will be. May be called from within the watch. */
void daemon_notify(Daemon *daemon, const IncidentInfo *incident);

/* daemon-plugin.c */
unsigned daemon_plugin_kinds(const WatchMachine *machine, void *daemon);
bool daemon_consult(const WatchMachine *machine,
                    const IncidentInfo *incident,
                    const Decision *so_far,
                    void *daemon);
int daemon_open_plugins(Daemon *daemon);
/* Before the policy that names them is set. */
void daemon_configure_plugins(Daemon *daemon);

/* daemon-vmm.c */
int daemon_open_vmm(Daemon *daemon);
void daemon_answer(const WatchMachine *machine, const IncidentInfo *incident, void *daemon);

/* daemon-source.c */
int daemon_open_sources(Daemon *daemon);

/* daemon-restore.c */
void daemon_restore(Daemon *daemon);

/* Something an operator should know, by its subject; NULL: it is mended; empty: it is forgotten. */
void daemon_problem(const char *key, const char *text, void *daemon);
/* A program of ours: it lies beside us in a build folder, and in libexec where installed. */
int daemon_find_program(const char *name, char **ret);
