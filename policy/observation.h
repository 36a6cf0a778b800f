/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One normalised statement of fact, before any policy: the only thing a source may hand on. All
 * pointers are borrowed for the call that hands it over.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "qapi-types.h"

typedef enum ObservationType {
        OBSERVATION_ATTACHED,   /* a run answers: for the first time, or again */
        OBSERVATION_DETACHED,   /* its connection is lost; the process may live (text: why) */
        OBSERVATION_EVENT,      /* it sent a QMP event */
        OBSERVATION_STATUS,     /* it answered query-status */
        OBSERVATION_CRASH_INFO, /* it answered for its CPUs' crash-information (data: or NULL) */
        OBSERVATION_GONE,       /* its process is gone: the run is over */
        OBSERVATION_WITHDRAWN,  /* it turned out to be another machine (text: which): forget it */
        OBSERVATION_SILENT,     /* it lives and has not answered for `seconds` */
        OBSERVATION_ANSWERING,  /* it answers again */
        _OBSERVATION_TYPE_MAX,
} ObservationType;

/* What a backend can do; which decisions the clamp lets pass follows from it. */
typedef enum Ability {
        ABILITY_SET_ACTION = 1 << 0,          /* set-action (QEMU 6.0) */
        ABILITY_WATCHDOG_SET_ACTION = 1 << 1, /* watchdog-set-action (QEMU 2.11) */
        ABILITY_PANIC_NONE = 1 << 2,          /* panic=none, panic=pause told apart (QEMU 6.0) */
        ABILITY_EXIT_FAILURE = 1 << 3,        /* panic=exit-failure (QEMU 7.1) */
        ABILITY_RESET = 1 << 4,
        ABILITY_STOP = 1 << 5,
        ABILITY_CONT = 1 << 6,
        ABILITY_POWERDOWN = 1 << 7,
        ABILITY_QUIT = 1 << 8,
        ABILITY_INJECT_NMI = 1 << 9,
        ABILITY_DUMP = 1 << 10,       /* dump-guest-memory */
        ABILITY_CRASH_INFO = 1 << 11, /* qom-get of crash-information */
        ABILITY_KILL = 1 << 12,       /* its process can be ended without asking it */
        ABILITY_RELAYED = 1 << 13,    /* a VMM whose events were made, and throttled, elsewhere */
} Ability;

typedef struct Observation {
        ObservationType type;
        const char *machine; /* a valid machine name */
        const char *run;     /* identifies this life of it; stable over restarts of tocsind */
        uint64_t time_us;    /* CLOCK_REALTIME, by the source's own timestamp where it has one */

        /* EVENT; CRASH_INFO: the QAPI object as it came */
        const char *event;
        json_object *data;

        /* ATTACHED (but of BACKEND_TYPE_PROCESS: nobody can tell), STATUS */
        RunState state;
        bool running;

        /* ATTACHED */
        BackendType backend;
        unsigned abilities; /* of Ability */
        const char *shown, *uuid, *version;
        pid_t pid;

        /* GONE: the signal that ended it when known, else 0, and whether such a signal says that the
         * process itself went wrong (nobody sends it). SILENT: for how long. */
        int signal;
        bool crashed;
        uint64_t seconds;

        /* EVENT of a VMM that reports: who, which report, what it does when nobody decides, and whether
         * it waits to be told. client NULL: the event speaks for itself. */
        const char *client;
        uint64_t number;
        Action action;
        bool asks;
        const char *message; /* of the guest; NULL: none */

        /* for people */
        const char *text;
} Observation;
