/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The watch: observations go in; announcements, records, decisions to be carried out and questions
 * come out, through WatchOps. It holds what is known of every machine and its open incidents, and
 * is the only place where an observation becomes an incident. It is pure: the time is an argument,
 * everything else goes through the table, and no function of the table may call back into the watch.
 *
 * Out of memory is not an error one caller could mend: what could not be kept is left out and
 * counted, and the watch goes on.
 */
#include "policy/incident.h"
#include "policy/observation.h"
#include "policy/util/prioq.h"

typedef struct Watch Watch;
typedef struct WatchMachine WatchMachine;

typedef struct WatchAnnouncement {
        const WatchMachine *machine;
        const char *event;
        json_object *data; /* or NULL; borrowed */
        uint64_t real_us;
        bool synthetic;    /* the backend never sent it */
        bool control_only; /* one of our own events */
} WatchAnnouncement;

typedef enum WatchQuestion {
        WATCH_ASK_STATUS,     /* answered with OBSERVATION_STATUS */
        WATCH_ASK_CRASH_INFO, /* answered with OBSERVATION_CRASH_INFO */
} WatchQuestion;

typedef enum WatchChange {
        WATCH_CHANGE_APPEARED, /* a new name: it wants an endpoint */
        WATCH_CHANGE_KEPT,     /* what is to be remembered of it over a restart changed */
        WATCH_CHANGE_REMOVED,  /* forgotten: a day after its last run ended */
} WatchChange;

typedef enum WatchLevel {
        WATCH_LEVEL_ERROR,   /* something asked for could not be had */
        WATCH_LEVEL_WARNING, /* something is wrong with a machine */
        WATCH_LEVEL_NOTICE,
} WatchLevel;

/* Where an action that may have been begun before is taken up. */
typedef enum ActPoint {
        ACT_FROM_START,
        ACT_FROM_CONT, /* the reset has happened: the guest waits in prelaunch */
        ACT_FROM_TOLD, /* a VMM was told, or will ask again: its word is waited for */
} ActPoint;

typedef struct WatchOps {
        uint64_t (*next_incident)(void *userdata);
        void (*announce)(const WatchAnnouncement *announcement, void *userdata);
        /* Keep the record as it is now. */
        void (*record)(const IncidentInfo *incident, void *userdata);
        /* Carry out incident->decision; steps and the end come back with watch_stepped() and
         * watch_acted(). `stopped`: its CPUs do not run. */
        void (*act)(const WatchMachine *machine,
                    const IncidentInfo *incident,
                    ActPoint from,
                    void *userdata);
        /* A VMM waits for this incident's decision, and nothing is to be carried out now: what it does by
         * itself stands, or the decision is held. NULL: no VMM is served. */
        void (*answer)(const WatchMachine *machine, const IncidentInfo *incident, void *userdata);
        void (*ask)(const WatchMachine *machine, WatchQuestion question, void *userdata);
        /* Plugins, both NULL where there are none. Which kinds (1 << IncidentKind) a plugin of the
         * machine's chain has a say in; and: ask the chain. False: nobody is asked; else what each says
         * comes back with watch_proposed(), and watch_consulted() when all have spoken or their
         * deadlines have passed. `so_far` is borrowed for the call. */
        unsigned (*plugin_kinds)(const WatchMachine *machine, void *userdata);
        bool (*consult)(const WatchMachine *machine,
                        const IncidentInfo *incident,
                        const Decision *so_far,
                        void *userdata);
        /* Set these keys in the backend; watch_told() says what came of it. False: can't be sent. */
        bool (*tell)(const WatchMachine *machine, const ActionSet *set, void *userdata);
        void (*changed)(WatchMachine *machine, WatchChange change, void *userdata);
        /* The decision stands; `text` is one line for people. */
        void (*decided)(const IncidentInfo *incident, const char *text, void *userdata);
        /* One line for the log. */
        void (*report)(const WatchMachine *machine, WatchLevel level, const char *text, void *userdata);
} WatchOps;

/* VFIO devices remembered of one machine; more are not shown. */
#define WATCH_VFIO_MAX 64

/* What is known of a machine. Others read it; only the watch writes, but for `owner`. */
struct WatchMachine {
        void *owner; /* for whoever hears of changes: its endpoint */
        char *name, *run, *shown, *uuid, *version;
        BackendType backend;
        unsigned abilities;
        pid_t pid;
        bool attached;
        bool known; /* this run was known before it attached this time */
        bool state_known, running;
        RunState state;
        uint64_t stop_us;                           /* real_us of the last STOP */
        uint64_t ended_us;                          /* real_us; 0: the run lives */
        uint64_t hold_until_us, hold_until_real_us; /* boot_us; 0: not held */
        char *last_stop;
        uint64_t stop_incident; /* closed incident that explains the present stop; 0: none */
        bool believed;          /* its crash information was taken once in this run */
        bool overridden;
        ActionSet overrides, told;
        VfioDevice **vfio;
        size_t n_vfio;
        List incidents; /* of Incident, open ones */
        size_t n_incidents;
        History history; /* carried out: what limits and the loop guard count */
        History past;    /* decided, carried out or not: what plugins are told */

        /* for the watch alone */
        Watch *watch;
        PrioqNode deadline;
        bool shutdown_seen, poweroff_seen;
        bool status_asked;
        unsigned tells; /* not answered yet */
        uint64_t told_until_us, rate_start_us;
        unsigned rate_count;
        Incident *folding; /* counts what came beyond the rate in this second */
        char *folded_event;
        json_object *folded_data;
        uint64_t folded_us, folded_n;
        uint64_t silent_incident;
};

int watch_new(Watch **ret,
              const WatchOps *ops,
              const Policy *policy,
              const char *boot_id,
              void *userdata);
Watch *watch_free(Watch *watch);
DEFINE_CLEANUP(Watch *, watch_free);

/* The policy is borrowed until the next one is set. */
void watch_set_policy(Watch *watch, const Policy *policy, Moment now);
const Policy *watch_get_policy(const Watch *watch);

void watch_observe(Watch *watch, const Observation *observation, Moment now);
/* boot_us of the next watch_tick(); USEC_INFINITY: nothing is pending. */
uint64_t watch_get_deadline(const Watch *watch);
void watch_tick(Watch *watch, Moment now);

/* The backend has taken what it was told (or not: what is in force there is then not known). */
void watch_told(Watch *watch, const char *machine, const char *run, bool taken);

/* From whoever carries out: a step was made; the action is over. Unknown numbers are ignored: the run
 * may have ended meanwhile. */
void watch_stepped(Watch *watch,
                   const char *machine,
                   uint64_t incident,
                   const char *what,
                   const char *error,
                   const char *text,
                   Moment now);
/* Evidence of an open incident: a file is kept, or no longer, or says something; the step
 * that tells of it follows. */
void watch_kept(Watch *watch, const char *machine, uint64_t incident, const EvidenceFile *file);
void watch_dropped(Watch *watch, const char *machine, uint64_t incident, const char *name);
/* What its kernel said as it panicked, and its call trace ("": none). */
void watch_heard(Watch *watch,
                 const char *machine,
                 uint64_t incident,
                 const char *words,
                 const char *trace);
bool watch_is_open(const Watch *watch, const char *machine, uint64_t incident);
/* The open incident that this report of a VMM opened, or NULL. */
const IncidentInfo *watch_find_report(const Watch *watch,
                                      const char *machine,
                                      const char *client,
                                      uint64_t number);
/* The VMM has been told what was decided. */
void watch_answered(Watch *watch, const char *machine, uint64_t incident, Moment now);
void watch_acted(Watch *watch,
                 const char *machine,
                 uint64_t incident,
                 IncidentOutcome outcome,
                 Moment now);

/* From the plugins, see consult(). Returns the decision as it stands after the proposal, borrowed;
 * NULL when the incident is over or nobody was asked. */
const Decision *watch_proposed(Watch *watch,
                               const char *machine,
                               uint64_t incident,
                               const EngineProposal *proposal);
void watch_consulted(Watch *watch, const char *machine, uint64_t incident, Moment now);
/* What plugin_kinds() says has changed: every machine is told anew. */
void watch_plugins_changed(Watch *watch, Moment now);

/* The commands of control.sock and of endpoints. `set`: keys that were set by set-action. */
void watch_override(Watch *watch, WatchMachine *machine, const ActionSet *set, Moment now);
/* Drops one key (or all, with _POLICY_KEY_MAX) of the overrides; false when there was none. */
bool watch_reset_override(Watch *watch, WatchMachine *machine, PolicyKey key, Moment now);
/* 0 ends the hold. */
void watch_hold(Watch *watch, WatchMachine *machine, uint64_t for_us, Moment now);
/* tocsind goes away: every machine is told its nearest fixed action. */
void watch_release(Watch *watch, Moment now);
/* A made-up incident, decided by today's policy. */
int watch_explain(Watch *watch, const IncidentInfo *incident, Moment now, DecisionInfo **ret);

WatchMachine *watch_find(const Watch *watch, const char *machine);
size_t watch_count(const Watch *watch);
/* Forgets the machine that ended first. False: none has ended. */
bool watch_forget_ended(Watch *watch);
void watch_foreach(const Watch *watch,
                   void (*func)(WatchMachine *machine, void *userdata),
                   void *userdata);
/* Memory could not be had so often. */
uint64_t watch_get_lost(const Watch *watch);

/* At start, before anything attaches: what the store kept. */
int watch_restore_machine(Watch *watch,
                          const char *machine,
                          const char *run,
                          json_object *kept,
                          Moment now);
int watch_restore_incident(Watch *watch, IncidentInfo *take_info, Moment now);
int watch_restore_history(Watch *watch, const IncidentInfo *info, Moment now);
/* What watch_restore_machine() wants back. NULL: out of memory. */
json_object *watch_machine_keep(const WatchMachine *machine);

/* For query-machines and query-policy. */
int watch_machine_to_info(const WatchMachine *machine, Moment now, MachineInfo **ret);
int watch_machine_to_policy(const WatchMachine *machine, Moment now, PolicyInfo **ret);
