/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Evidence and the record. What is said of an open incident goes through the watch, which has its
 * record; one that is closed by then, since its QEMU died or its disk was slow, is read from the
 * store, changed, and put back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/evidence/program.h"
#include "daemon/report.h"

#define DAEMON_DUMP "memory.kdump"

/* A change to a closed record. */
typedef struct DaemonAmend {
        Daemon *daemon;
        List link;
        uint64_t time_us;
        char *text, *error;
        EvidenceFile *file; /* added */
        bool drops;         /* the dump */
} DaemonAmend;

/* Folders of which it is not known whether their incidents still have records; one is asked for at a
 * time. */
struct DaemonSweep {
        uint64_t found[PROGRAM_LIST_MAX];
        size_t n_found, n_asked, n_gone;
};

static void daemon_amend_free(DaemonAmend *amend) {
        list_remove(&amend->link);
        evidence_file_free(amend->file);
        free(amend->text);
        free(amend->error);
        free(amend);
}

static void daemon_amend_read(int r, json_object *const *records, size_t n, void *userdata) {
        DaemonAmend *amend = userdata;
        _cleanup_(incident_freep) Incident *incident = NULL;
        IncidentInfo *info = NULL;

        if (r >= 0 && n > 0 && incident_info_from_json(records[0], &info, NULL) == 0)
                incident = incident_new_from_info(info);
        if (incident) {
                if (amend->file)
                        (void) incident_add_file(incident->info, amend->file);
                if (amend->drops)
                        incident_drop_file(incident->info, DAEMON_DUMP);
                (void) incident_add_step(
                        incident, amend->time_us, "evidence", amend->error, "%s", amend->text);
                (void) store_put_incident(amend->daemon->store, incident->info, false, NULL, NULL);
        }
        daemon_amend_free(amend);
}

static void daemon_amend(Daemon *daemon, uint64_t incident, DaemonAmend *take) {
        StoreIncidentFilter filter = { .id = incident, .kind = -1, .status = -1, .limit = 1 };

        take->daemon = daemon;
        take->time_us = daemon_now(daemon).real_us;
        list_append(&daemon->amends, &take->link);
        if (!take->text || store_read_incidents(daemon->store, &filter, daemon_amend_read, take) < 0)
                daemon_amend_free(take);
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

static void daemon_evidence_note(const char *machine,
                                 uint64_t incident,
                                 const char *text,
                                 const char *error,
                                 const EvidenceFile *file,
                                 void *userdata) {
        Daemon *daemon = userdata;
        DaemonAmend *amend;

        report(error ? LOG_WARNING : LOG_NOTICE,
               machine,
               "incident %llu: %s%s%s",
               (unsigned long long) incident,
               text,
               error ? ": " : "",
               error ? error : "");
        if (watch_is_open(daemon->watch, machine, incident)) {
                if (file)
                        watch_kept(daemon->watch, machine, incident, file);
                watch_stepped(
                        daemon->watch, machine, incident, "evidence", error, text, daemon_now(daemon));
                return;
        }
        amend = calloc(1, sizeof(*amend));
        if (!amend)
                return;
        list_init(&amend->link);
        amend->text = strdup(text);
        amend->error = error ? strdup(error) : NULL;
        amend->file = file ? daemon_copy_file(file) : NULL;
        daemon_amend(daemon, incident, amend);
}

static void daemon_evidence_removed(const char *machine,
                                    uint64_t incident,
                                    uint64_t for_incident,
                                    void *userdata) {
        Daemon *daemon = userdata;
        _cleanup_free_ char *text = NULL;
        DaemonAmend *amend;

        if (asprintf(&text,
                     DAEMON_DUMP " was removed to make room for the one of incident %llu",
                     (unsigned long long) for_incident) < 0) {
                text = NULL;
                return;
        }
        report(LOG_NOTICE, machine, "incident %llu: %s", (unsigned long long) incident, text);
        if (watch_is_open(daemon->watch, machine, incident)) {
                watch_dropped(daemon->watch, machine, incident, DAEMON_DUMP);
                watch_stepped(
                        daemon->watch, machine, incident, "evidence", NULL, text, daemon_now(daemon));
                return;
        }
        amend = calloc(1, sizeof(*amend));
        if (!amend)
                return;
        list_init(&amend->link);
        amend->text = TAKE_PTR(text);
        amend->drops = true;
        daemon_amend(daemon, incident, amend);
}

static void daemon_sweep_ask(Daemon *daemon);

static void daemon_sweep_read(int r, json_object *const *records, size_t n, void *userdata) {
        Daemon *daemon = userdata;
        DaemonSweep *sweep = daemon->sweep;

        if (r == 0 && n == 0)
                sweep->found[sweep->n_gone++] = sweep->found[sweep->n_asked];
        sweep->n_asked++;
        daemon_sweep_ask(daemon);
}

static void daemon_sweep_ask(Daemon *daemon) {
        StoreIncidentFilter filter = { .kind = -1, .status = -1, .limit = 1 };
        DaemonSweep *sweep = daemon->sweep;

        if (sweep->n_asked < sweep->n_found) {
                filter.id = sweep->found[sweep->n_asked];
                if (store_read_incidents(daemon->store, &filter, daemon_sweep_read, daemon) == 0)
                        return;
        }
        /* A store that is not well does not know what it has forgotten. */
        if (strcmp(store_get_health(daemon->store), "ok") == 0)
                evidence_remove(daemon->evidence, sweep->found, sweep->n_gone);
        free(sweep);
        daemon->sweep = NULL;
}

static void daemon_evidence_found(const uint64_t *incidents, size_t n, void *userdata) {
        Daemon *daemon = userdata;

        if (daemon->sweep)
                return;
        daemon->sweep = calloc(1, sizeof(*daemon->sweep));
        if (!daemon->sweep)
                return;
        memcpy(daemon->sweep->found, incidents, n * sizeof(*incidents));
        daemon->sweep->n_found = n;
        daemon_sweep_ask(daemon);
}

int daemon_open_evidence(Daemon *daemon) {
        static const EvidenceOps ops = { daemon_evidence_note,
                                         daemon_evidence_removed,
                                         daemon_evidence_found };
        EvidencePlaces places = { .state_dir = daemon->config->state_dir,
                                  .store = store_get_log(daemon->store) };
        int r;

        list_init(&daemon->amends);
        r = daemon_find_program("tocsin-evidence", &daemon->evidence_program);
        if (r < 0)
                return r;
        places.program = daemon->evidence_program;
        return evidence_new(&daemon->evidence,
                            daemon->event,
                            daemon->machines,
                            &places,
                            &daemon->config->evidence,
                            &ops,
                            daemon);
}

void daemon_close_evidence(Daemon *daemon) {
        daemon->evidence = evidence_free(daemon->evidence);
        free(daemon->evidence_program);
        free(daemon->sweep);
        if (daemon->amends.next)
                list_foreach_safe(i, n, &daemon->amends)
                        daemon_amend_free(list_entry(i, DaemonAmend, link));
}
