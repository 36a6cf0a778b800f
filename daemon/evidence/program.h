/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One run of the program tocsin-evidence (its orders and what it says: main.c), seen from the event
 * loop. Nothing here waits: what the program waits on is its own.
 */
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* A line it says, its end included. */
#define PROGRAM_LINE_MAX 512
/* Most of a text it keeps: the registers of some 400 CPUs. */
#define PROGRAM_TEXT_MAX (UINT64_C(1) << 20)
/* Incidents of one answer to "list", and of one "remove". */
#define PROGRAM_LIST_MAX 64

typedef struct Program Program;

typedef struct ProgramOps {
        /* `rest` is "" when the line is a word only. */
        void (*line)(Program *program, const char *word, char *rest, void *userdata);
        /* It is gone, and is to be freed now. */
        void (*ended)(Program *program, void *userdata);
} ProgramOps;

/* argv ends with NULL. `stdin_fd` is borrowed; -1: it gets nothing to read. */
int program_new(Program **ret,
                sd_event *event,
                const char *path,
                const char *const argv[],
                int stdin_fd,
                const ProgramOps *ops,
                void *userdata);
/* Asks it to end, removing what is half done. */
void program_stop(Program *program);
/* Ends it where it stands. A program that waits on a hung disk goes on waiting. */
void program_kill(Program *program);
/* One that has not ended is stopped and left to itself. */
Program *program_free(Program *program);
