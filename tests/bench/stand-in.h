/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A stand-in for a QEMU: answers on a monitor what tocsin asks, says that it is the process it is
 * told to be, and lets itself be reset. It reads the commands as tocsin writes them, and understands
 * nothing else.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of the commands tocsin sends on attaching; a set-action is the longest. */
#define STAND_IN_COMMAND_MAX 1024

typedef struct StandIn {
        unsigned number;   /* its name is gNUMBER */
        pid_t pid;         /* of its "vCPU" */
        int fd;            /* connection of tocsin, or -1 */
        const char *state; /* NULL: running */
        bool attached;     /* query-status was answered */
        unsigned n_resets; /* system_reset has come so often */
        size_t n;
        char command[STAND_IN_COMMAND_MAX];
} StandIn;

void stand_in_greet(StandIn *stand_in);
/* Reads what came and answers it. False when tocsin has gone. */
bool stand_in_serve(StandIn *stand_in);
/* A panic with panic=pause. */
void stand_in_panic(StandIn *stand_in);
void stand_in_send_event(StandIn *stand_in, const char *event, const char *data);
