/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of daemon/evidence share that run in tocsind's loop. */
#include "daemon/evidence/evidence.h"
#include "daemon/evidence/program.h"
#include "daemon/machine/index.h"
#include "policy/util/list.h"

typedef struct EvidenceTask EvidenceTask;
typedef struct EvidenceSweep EvidenceSweep;

/* How one kind is taken. */
typedef struct EvidenceType {
        EvidenceKind kind;
        const char *word;  /* as the configuration has it */
        unsigned turns;    /* so many machines at once */
        bool takes_memory; /* so the deadlines of the configuration count */
        /* It is its turn: the task now has a program, or is finished. */
        void (*start)(EvidenceTask *task);
        /* What its program says, beyond what every program does. */
        void (*line)(EvidenceTask *task, const char *word, const char *rest);
        /* Its program has ended. evidence_finish() is called in the end. */
        void (*ended)(EvidenceTask *task);
} EvidenceType;

#define EVIDENCE_TYPES 3
extern const EvidenceType evidence_log, evidence_memory, evidence_registers;

typedef enum EvidenceStage {
        EVIDENCE_WAITING,   /* for its turn */
        EVIDENCE_WORKING,   /* until its deadline */
        EVIDENCE_STOPPING,  /* it was too late, or is not wanted any more */
        EVIDENCE_STUCK,     /* it does not even stop: nobody waits for it now */
        EVIDENCE_CANCELLED, /* before its turn */
} EvidenceStage;

/* One incident's evidence: one kind after the other. */
struct EvidenceTask {
        Evidence *evidence;
        List tasks;
        IndexLink by_machine; /* while somebody waits for it */
        char *machine;
        uint64_t number, incident;
        unsigned kinds; /* not begun */
        bool running;
        bool for_log;      /* the dump is taken for the log alone, and goes with it */
        EvidenceDone done; /* NULL: nobody waits */
        void *userdata;

        /* of the kind that is being taken */
        const EvidenceType *type;
        EvidenceStage stage;
        sd_event_source *timer;
        uint64_t begun_us; /* CLOCK_MONOTONIC */
        Program *program;
        char *problem; /* it failed, in words */
        EvidenceFile *file;
        char *headline, *trace;
        int write_fd;              /* for the machine to write to, until it has it */
        int read_fd;               /* the program's end of the same, to cut it off from here */
        EvidenceProgress progress; /* of a memory dump */
        bool is_asking;            /* for progress */
        unsigned looks;            /* for the machine to run again */
};

struct Evidence {
        sd_event *event;
        Machines *machines;
        EvidencePlaces places; /* copies */
        EvidenceLimits limits;
        EvidenceOps ops;
        void *userdata;
        List tasks; /* in the order they came */
        Index by_machine;
        unsigned turns[EVIDENCE_TYPES]; /* taken */
        List calls;                     /* of the machines, not answered yet */
        uint64_t last_number;
        sd_event_source *kick; /* whose turn is it? */
        EvidenceSweep *sweep;
};

/* The answer of a machine, for a task that is still there and still at work. */
typedef void (*EvidenceAnswer)(EvidenceTask *task, int r, json_object *ret, const char *error);
/* 0, or a negative errno, which answer() is then not told. */
int evidence_call(EvidenceTask *task,
                  BackendVerb verb,
                  json_object *arguments,
                  int fd,
                  EvidenceAnswer answer);

/* Starts the task's program with KIND STATE_DIR STORE INCIDENT MACHINE and what follows (or NULL). */
int evidence_spawn(EvidenceTask *task, int stdin_fd, const char *const extra[]);
/* Remembers why it failed; the first reason counts. */
void evidence_set_problem(EvidenceTask *task, const char *format, ...) _printf_(2, 3);
/* Ends this kind, and goes on to the next. */
void evidence_finish(EvidenceTask *task);
/* (Re)starts the task's timer, of which what it means follows from the stage. */
void evidence_arm(EvidenceTask *task, uint64_t after_us);

/* sweep.c: what was forgotten is removed, now and then. */
int evidence_sweep_new(Evidence *evidence);
EvidenceSweep *evidence_sweep_free(EvidenceSweep *sweep);
void evidence_sweep_start(EvidenceSweep *sweep);
