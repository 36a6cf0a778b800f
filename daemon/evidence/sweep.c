/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder of evidence lives as long as its incident's record. The store forgets records when it
 * likes; so, at start and with each dump, some folders are looked at: a bounded number, going on from
 * where the last look ended, and round again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/evidence/evidence-private.h"
#include "policy/util/size.h"

struct EvidenceSweep {
        Evidence *evidence;
        Program *program;
        bool is_listing;
        uint64_t after; /* the last one looked at */
        uint64_t found[PROGRAM_LIST_MAX];
        size_t n_found;
};

static void sweep_on_line(Program *program, const char *word, char *rest, void *userdata) {
        EvidenceSweep *sweep = userdata;
        uint64_t incident;

        if (strcmp(word, "folder") == 0 && sweep->n_found < PROGRAM_LIST_MAX &&
            size_parse_number(rest, &incident) == 0)
                sweep->found[sweep->n_found++] = incident;
}

static void sweep_on_ended(Program *program, void *userdata) {
        EvidenceSweep *sweep = userdata;
        Evidence *evidence = sweep->evidence;
        size_t n = sweep->n_found;

        sweep->program = program_free(program);
        sweep->n_found = 0;
        if (!sweep->is_listing)
                return;
        sweep->is_listing = false;
        sweep->after = n == PROGRAM_LIST_MAX ? sweep->found[n - 1] : 0;
        if (n > 0)
                evidence->ops.found(sweep->found, n, evidence->userdata);
}

static void sweep_run(EvidenceSweep *sweep, const char *verb, const uint64_t *incidents, size_t n) {
        static const ProgramOps ops = { sweep_on_line, sweep_on_ended };
        const EvidencePlaces *places = &sweep->evidence->places;
        char texts[PROGRAM_LIST_MAX][SIZE_TEXT_SIZE];
        const char *argv[4 + PROGRAM_LIST_MAX + 1] = {
                places->program, verb, places->state_dir, places->store
        };

        for (size_t i = 0; i < n && i < PROGRAM_LIST_MAX; i++) {
                (void) snprintf(texts[i], sizeof(texts[i]), "%" PRIu64, incidents[i]);
                argv[4 + i] = texts[i];
        }
        /* what can't be started now is looked at another time */
        (void) program_new(
                &sweep->program, sweep->evidence->event, places->program, argv, -1, &ops, sweep);
}

void evidence_sweep_start(EvidenceSweep *sweep) {
        if (sweep->program)
                return;
        sweep->is_listing = true;
        sweep_run(sweep, "list", &sweep->after, 1);
}

void evidence_remove(Evidence *evidence, const uint64_t *incidents, size_t n) {
        if (!evidence->sweep->program && n > 0)
                sweep_run(evidence->sweep, "remove", incidents, n);
}

int evidence_sweep_new(Evidence *evidence) {
        evidence->sweep = calloc(1, sizeof(*evidence->sweep));
        if (!evidence->sweep)
                return -ENOMEM;
        evidence->sweep->evidence = evidence;
        return 0;
}

EvidenceSweep *evidence_sweep_free(EvidenceSweep *sweep) {
        if (!sweep)
                return NULL;
        program_free(sweep->program);
        free(sweep);
        return NULL;
}
