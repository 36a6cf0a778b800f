/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evidence and the record. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/evidence/program.h"
#include "daemon/report.h"

#define DAEMON_DUMP "memory.kdump"

/* Folders of which it is not known whether their incidents still have records; one is asked for at a
 * time. */
struct DaemonSweep {
        uint64_t found[PROGRAM_LIST_MAX];
        size_t n_found, n_asked, n_gone;
};

static void daemon_evidence_note(const char *machine,
                                 uint64_t incident,
                                 const EvidenceNote *evidence,
                                 void *userdata) {
        DaemonNote note = { .what = "evidence",
                            .text = evidence->text,
                            .error = evidence->error,
                            .file = evidence->file,
                            .headline = evidence->headline,
                            .trace = evidence->trace };

        daemon_note(userdata, machine, incident, &note);
}

static void daemon_evidence_removed(const char *machine,
                                    uint64_t incident,
                                    uint64_t for_incident,
                                    void *userdata) {
        DaemonNote note = { .what = "evidence", .drops = DAEMON_DUMP };
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text,
                     DAEMON_DUMP " was removed to make room for the one of incident %llu",
                     (unsigned long long) for_incident) < 0) {
                text = NULL;
                return;
        }
        note.text = text;
        daemon_note(userdata, machine, incident, &note);
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
}
