/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Taking evidence of an incident before it is acted on. Each kind waits for its turn, is asked of the
 * machine, and kept by a program of its own (program.h), within limits of number, size and time.
 * Whatever goes wrong is said in the record and ends this kind alone: done() is always called.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/evidence/room.h"
#include "daemon/machine/machines.h"
#include "policy/policy.h"

typedef struct Evidence Evidence;

/* [evidence] */
typedef struct EvidenceLimits {
        RoomLimits room;
        uint64_t deadline_us; /* of a dump */
        uint64_t wait_us;     /* for its turn */
} EvidenceLimits;

/* What came of one kind; NULL what there is not. */
typedef struct EvidenceNote {
        const char *text, *error;
        const EvidenceFile *file;     /* that is kept */
        const char *headline, *trace; /* of a kernel's log: why it panicked, and where */
} EvidenceNote;

typedef struct EvidenceOps {
        /* For the record, which may be closed by now. Called from the loop, never from within. */
        void (*note)(const char *machine, uint64_t incident, const EvidenceNote *note, void *userdata);
        /* The memory dump of an older incident made place for the one of another. */
        void (*removed)(const char *machine, uint64_t incident, uint64_t for_incident, void *userdata);
        /* Incidents below this folder that may have been forgotten; evidence_remove() those that
         * were. */
        void (*found)(const uint64_t *incidents, size_t n, void *userdata);
} EvidenceOps;

typedef struct EvidencePlaces {
        const char *program;   /* tocsin-evidence */
        const char *state_dir; /* evidence/ is below it */
        const char *store;     /* incidents are numbered in this one */
} EvidencePlaces;

int evidence_new(Evidence **ret,
                 sd_event *event,
                 Machines *machines,
                 const EvidencePlaces *places,
                 const EvidenceLimits *limits,
                 const EvidenceOps *ops,
                 void *userdata);
/* Programs at work are told to stop. Nobody is called any more. */
Evidence *evidence_free(Evidence *evidence);
DEFINE_CLEANUP(Evidence *, evidence_free);
void evidence_configure(Evidence *evidence, const EvidenceLimits *limits);

/* The EvidenceKind of this name; 0 where it is none that can be taken. */
unsigned evidence_find_kind(const char *word);

typedef struct EvidenceOrder {
        const char *machine;
        uint64_t incident;
        unsigned kinds; /* of evidence_find_kind() */
        bool running;   /* its CPUs run: a dump stops them for its time */
} EvidenceOrder;

typedef void (*EvidenceDone)(uint64_t incident, void *userdata);
/* 0 and done() will be called, from the loop; or negative. */
int evidence_take(Evidence *evidence, const EvidenceOrder *order, EvidenceDone done, void *userdata);
/* The incident is over: what is not kept by now won't be. done() is not called. */
void evidence_cancel(Evidence *evidence, uint64_t incident);

typedef struct EvidenceProgress {
        uint64_t incident;
        uint64_t completed,
                total; /* bytes of the guest's memory; total 0: it waits, or is just begun */
        uint64_t kept; /* bytes of the file so far */
} EvidenceProgress;
/* The memory dump of this machine that is under way. */
bool evidence_get_progress(const Evidence *evidence, const char *machine, EvidenceProgress *ret);

/* Removes the folders of incidents that are no longer in the store: those told by found(). */
void evidence_remove(Evidence *evidence, const uint64_t *incidents, size_t n);
