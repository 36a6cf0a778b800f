/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said of an incident that may be closed by now: its QEMU died, its disk was slow, the program that
 * was told of it took its time. An open incident's record is the watch's; a closed one's is read from
 * the store, changed, and put back. That is done to one at a time, since two changes to the same record
 * would lose the first: the store does what it is asked for in order, so a record that is read after
 * another was put has what that said.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/report.h"

/* Changes that wait for a slow disk. */
#define DAEMON_AMENDS_MAX 1024

/* A change to a closed record. */
typedef struct DaemonAmend {
        Daemon *daemon;
        List link;
        uint64_t incident, time_us;
        char *what, *text, *error;
        EvidenceFile *file;
        char *drops;
        char *headline, *trace;
} DaemonAmend;

static void daemon_amend_free(DaemonAmend *amend) {
        list_remove(&amend->link);
        amend->daemon->n_amends--;
        evidence_file_free(amend->file);
        free(amend->what);
        free(amend->text);
        free(amend->error);
        free(amend->drops);
        free(amend->headline);
        free(amend->trace);
        free(amend);
}

static void daemon_amend_next(Daemon *daemon);

static void daemon_amend_read(int r, json_object *const *records, size_t n, void *userdata) {
        _cleanup_(incident_freep) Incident *incident = NULL;
        DaemonAmend *amend = userdata;
        Daemon *daemon = amend->daemon;
        IncidentInfo *info = NULL;

        if (r >= 0 && n > 0 && incident_info_from_json(records[0], &info, NULL) == 0)
                incident = incident_new_from_info(info);
        if (incident) {
                if (amend->file)
                        (void) incident_add_file(incident->info, amend->file);
                if (amend->drops)
                        incident_drop_file(incident->info, amend->drops);
                if (amend->headline)
                        (void) incident_set_words(incident->info,
                                                  amend->headline,
                                                  amend->trace ? amend->trace : "");
                (void) incident_add_step(
                        incident, amend->time_us, amend->what, amend->error, "%s", amend->text);
                (void) store_put_incident(daemon->store, incident->info, false, NULL, NULL);
        }
        daemon_amend_free(amend);
        daemon_amend_next(daemon);
}

/* Begins with the oldest. */
static void daemon_amend_next(Daemon *daemon) {
        while (!list_is_empty(&daemon->amends)) {
                DaemonAmend *amend = list_entry(daemon->amends.next, DaemonAmend, link);
                StoreIncidentFilter filter = {
                        .id = amend->incident, .kind = -1, .status = -1, .limit = 1
                };

                if (store_read_incidents(daemon->store, &filter, daemon_amend_read, amend) >= 0)
                        return;
                daemon_amend_free(amend);
        }
}

static EvidenceFile *daemon_copy_file(const EvidenceFile *file) {
        EvidenceFile *copy = calloc(1, sizeof(*copy));

        if (!copy)
                return NULL;
        copy->name = strdup(file->name);
        copy->kind = strdup(file->kind);
        copy->size = file->size;
        return copy->name && copy->kind ? copy : evidence_file_free(copy);
}

static void daemon_amend(Daemon *daemon, uint64_t incident, const DaemonNote *note) {
        bool is_first = list_is_empty(&daemon->amends);
        DaemonAmend *amend;

        amend = daemon->n_amends < DAEMON_AMENDS_MAX ? calloc(1, sizeof(*amend)) : NULL;
        if (!amend) {
                report(LOG_ERR,
                       NULL,
                       "incident %llu: the record misses \"%s\": too many wait for the disk",
                       (unsigned long long) incident,
                       note->text);
                return;
        }
        amend->daemon = daemon;
        amend->incident = incident;
        amend->time_us = daemon_now(daemon).real_us;
        amend->what = strdup(note->what);
        amend->text = strdup(note->text);
        amend->error = note->error ? strdup(note->error) : NULL;
        amend->drops = note->drops ? strdup(note->drops) : NULL;
        amend->file = note->file ? daemon_copy_file(note->file) : NULL;
        amend->headline = note->headline ? strdup(note->headline) : NULL;
        amend->trace = note->trace ? strdup(note->trace) : NULL;
        list_append(&daemon->amends, &amend->link);
        daemon->n_amends++;
        if (!amend->what || !amend->text)
                daemon_amend_free(amend);
        else if (is_first)
                daemon_amend_next(daemon);
}

void daemon_note(Daemon *daemon, const char *machine, uint64_t incident, const DaemonNote *note) {
        report(note->error ? LOG_WARNING : LOG_NOTICE,
               machine,
               "incident %llu: %s: %s%s%s",
               (unsigned long long) incident,
               note->what,
               note->text,
               note->error ? ": " : "",
               note->error ? note->error : "");
        if (!watch_is_open(daemon->watch, machine, incident)) {
                daemon_amend(daemon, incident, note);
                return;
        }
        if (note->file)
                watch_kept(daemon->watch, machine, incident, note->file);
        if (note->drops)
                watch_dropped(daemon->watch, machine, incident, note->drops);
        if (note->headline)
                watch_heard(daemon->watch,
                            machine,
                            incident,
                            note->headline,
                            note->trace ? note->trace : "");
        watch_stepped(daemon->watch,
                      machine,
                      incident,
                      note->what,
                      note->error,
                      note->text,
                      daemon_now(daemon));
}

void daemon_forget_notes(Daemon *daemon) {
        list_foreach_safe(i, n, &daemon->amends)
                daemon_amend_free(list_entry(i, DaemonAmend, link));
}
