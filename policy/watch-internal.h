/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of the watch share. The file a function lives in is in its name's comment. */
#include <json-c/linkhash.h>

#include "policy/util/prioq.h"
#include "policy/watch.h"

/* RESETs, and events that come late, belong to an incident until two seconds without one
 * (design section 5): SeaBIOS makes more resets of its own, and QEMU holds a throttled WATCHDOG back for one. */
#define WATCH_SETTLE_US (2 * USEC_PER_SEC)
/* A STOP follows its event within one turn of QEMU's main loop; a second is generous. */
#define WATCH_STOP_US (1 * USEC_PER_SEC)
/* The panic information is a handful of QMP commands away. */
#define WATCH_INFO_US (5 * USEC_PER_SEC)
/* The kernel's and QEMU's views of one memory failure, and QEMU's broadcasts, are one incident. */
#define WATCH_JOIN_US (5 * USEC_PER_SEC)
/* Ended machines are shown for a day, and never more than so many of them. */
#define WATCH_ENDED_US (UINT64_C(24) * 3600 * USEC_PER_SEC)
#define WATCH_ENDED_MAX 1024
/* Open incidents of one machine; what comes beyond is folded. */
#define WATCH_OPEN_MAX 64

typedef struct CapEntry {
        uint64_t boot_us;
        uint32_t machine; /* history_rule_key() of its name */
} CapEntry;

struct Watch {
        WatchOps ops;
        void *userdata;
        const Policy *policy;
        char *boot_id;
        struct lh_table *machines; /* by name */
        Prioq deadlines;
        size_t n_ended;
        uint64_t lost;
        CapEntry *cap; /* a ring of the newest policy->cap_machines actions */
        size_t cap_size, cap_n, cap_next;
};

/* watch.c */
void watch_lost(Watch *watch, int r); /* counts r < 0 */
void watch_report(WatchMachine *m, WatchLevel level, const char *format, ...) _printf_(3, 4);
void watch_ask(WatchMachine *m, WatchQuestion question);
void watch_announce_event(WatchMachine *m,
                          const char *event,
                          json_object *data,
                          uint64_t real_us,
                          bool synthetic);
/* MACHINE on control.sock */
void watch_announce_machine(WatchMachine *m, const char *text, Moment now);
/* Computes the machine's next deadline anew; call after whatever may have changed it. */
void watch_arm(WatchMachine *m, Moment now);
/* It is not unresponsive any more. Frees the incident. */
void watch_close_answering(WatchMachine *m, Incident *incident, Moment now);
WatchMachine *watch_machine_get(Watch *watch, const char *name); /* makes it; NULL: out of memory */
void watch_machine_remove(WatchMachine *m);
void watch_machine_end_run(WatchMachine *m, Moment now);
void watch_set_last_stop(WatchMachine *m, const char *format, ...) _printf_(2, 3);
EngineMachine watch_machine_for_engine(const WatchMachine *m, Moment now);

/* watch-tell.c */
void watch_tell(WatchMachine *m, Moment now, bool again);

/* watch-decide.c */
void watch_decide(WatchMachine *m, Incident *incident, Moment now);

/* watch-incident.c */
Incident *watch_open(WatchMachine *m, IncidentKind kind, uint64_t time_us, Moment now);
/* The machine has stopped for this incident, or it is known that it won't. */
void watch_go_on(WatchMachine *m, Incident *incident, Moment now);
void watch_remember(WatchMachine *m,
                    History *history,
                    const Incident *incident,
                    Action action,
                    Moment now);
void watch_announce_incident(WatchMachine *m, const Incident *incident, Moment now);
/* The decision is to do nothing: the record stays open for what follows by itself. */
void watch_leave(WatchMachine *m, Incident *incident, Moment now);
/* A VMM that waits for this incident's decision is told it, once. */
void watch_answer(WatchMachine *m, Incident *incident, Moment now);
/* The decision waits: for its delay, or for its turn. */
void watch_hold_back(WatchMachine *m, Incident *incident, uint64_t delay_us, Moment now);
json_object *watch_action_data(WatchMachine *m, Action action); /* {"action": ...}, or NULL */
void watch_start(WatchMachine *m, Incident *incident, ActPoint from, Moment now);
/* Takes and frees the incident. */
void watch_close(WatchMachine *m, Incident *incident, IncidentOutcome outcome, Moment now);
/* The run is over, and with it every incident of it. */
void watch_end_incidents(WatchMachine *m, Moment now);
void watch_record(WatchMachine *m, Incident *incident);
int watch_copy_cancel(Incident *incident, char *const *cancel_on);
void watch_incident_tick(WatchMachine *m, Incident *incident, Moment now);
void watch_flush_fold(WatchMachine *m, Moment now);
bool watch_fold(WatchMachine *m, const Observation *o, Moment now);
Incident *watch_find_incident(WatchMachine *m, uint64_t id);

/* watch-event.c */
void watch_event(WatchMachine *m, const Observation *o, Moment now);
void watch_set_state(WatchMachine *m, RunState state, Moment now);

/* watch-resume.c */
void watch_attached(WatchMachine *m, const Observation *o, Moment now);
void watch_status(WatchMachine *m, const Observation *o, Moment now);
void watch_crash_info(WatchMachine *m, const Observation *o, Moment now);
void watch_withdraw(WatchMachine *m, const Observation *o, Moment now);
void watch_gone(WatchMachine *m, const Observation *o, Moment now);
