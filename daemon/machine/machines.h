/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The backends: every way a machine can be reached, and the connections to them. What a backend
 * sees comes out as Observations; what it is to do goes in as verbs. It decides nothing.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "policy/observation.h"

typedef struct Machines Machines;

/* The short list of what our QMP client may ever send besides the negotiation and identity. */
typedef enum BackendVerb {
        BACKEND_QUERY_STATUS,
        BACKEND_CRASH_INFO, /* crash-information of every CPU; answer: the first one, or null */
        BACKEND_SET_ACTION, /* arguments as set-action's; split for QEMU before 6.0 */
        BACKEND_SYSTEM_RESET,
        BACKEND_CONT,
        BACKEND_STOP,
        BACKEND_QUIT,
        BACKEND_KILL, /* of its process, by tocsin-kernel: nothing is sent */
        BACKEND_SYSTEM_POWERDOWN,
        BACKEND_INJECT_NMI,
        BACKEND_GETFD, /* with a descriptor; arguments {"fdname"} */
        BACKEND_DUMP,  /* dump-guest-memory, arguments as QEMU's */
        BACKEND_QUERY_DUMP,
        BACKEND_REGISTERS, /* of every CPU, as text for people */
        _BACKEND_VERB_MAX,
} BackendVerb;

/* `error` is NULL, or the backend's words, or ours ("no answer within 5 s", "connection closed"); `ret` is borrowed. r: 0,
 * -EREMOTEIO (refused), -ETIMEDOUT, -ENOTCONN, -EOPNOTSUPP. Called from the loop, never from within
 * machines_command(), and exactly once. */
typedef void (*BackendDone)(int r, json_object *ret, const char *error, void *userdata);

typedef struct BackendCall {
        BackendVerb verb;
        json_object *arguments; /* borrowed; NULL: none */
        int fd;                 /* borrowed, sent along with GETFD; else -1 */
        uint64_t deadline_us;   /* a span */
        BackendDone done;
        void *userdata;
} BackendCall;

typedef struct MachinesOps {
        void (*observe)(const Observation *observation, void *userdata);
        /* Something an operator should know that belongs to no run: a refusal, a path that does not
         * answer. `key` names the subject so that a later text replaces it; NULL text: mended;
         * empty: forgotten, which is no news. */
        void (*problem)(const char *key, const char *text, void *userdata);
        /* Whether the guests may have so many descriptors in all. NULL: they may. */
        bool (*has_room)(size_t n_files, void *userdata);
        /* Whether a machine of that run is expected to attach again. */
        bool (*is_known)(const char *run, void *userdata);
} MachinesOps;

/* One configured way in: [guest NAME] qmp=, with exclusive=. */
typedef struct MachinePath {
        const char *name; /* of the machine, or NULL: ask QEMU */
        const char *path;
        bool exclusive;
} MachinePath;

typedef struct MachinesConfig {
        const char *runtime_dir;
        const MachinePath *paths;
        size_t n_paths;
        char *const *globs;        /* [discover] qmp-glob=, NULL-terminated */
        char *const *attach_users; /* who may call attach.sock; NULL-terminated */
        uint64_t heartbeat_us;     /* ask a silent backend; 0: never */
        uint64_t silent_us;        /* no answer for so long: OBSERVATION_SILENT */
} MachinesConfig;

struct KernelClient;

/* `kernel` NULL: paths are connected to from here, as far as that is permitted. */
int machines_new(Machines **ret,
                 sd_event *event,
                 struct KernelClient *kernel,
                 const MachinesOps *ops,
                 void *userdata);
/* Commands under way are answered with -ENOTCONN from within; nothing is observed. */
Machines *machines_free(Machines *machines);
/* At start and at each reload; connections that the new configuration still names are kept. */
int machines_configure(Machines *machines, const MachinesConfig *config);
/* Returns 0 when done() will be called; it won't after -ENOENT (no such machine), -ENOTCONN, -EOPNOTSUPP,
 * -EBUSY, -ENOBUFS or -ENOMEM. */
int machines_command(Machines *machines, const char *machine, const BackendCall *call);
/* A way in to a machine whose name is known, from the configuration or from before, that is not
 * connected. `gone`: a QEMU that has ended looks like that, which need be no trouble. */
typedef void (*MachinesTroubleFunc)(const char *machine, const char *why, bool gone, void *userdata);
void machines_foreach_trouble(const Machines *machines, MachinesTroubleFunc func, void *userdata);
/* Descriptors that are the guests', or may become theirs: those of their endpoints are counted for
 * guests on their way in only. */
size_t machines_count_files(const Machines *machines);

/* From the kernel. A process is known by any of its threads; one that no backend reaches is shown as a
 * machine of its own, "pid-N". It may be told more than once. */
void machines_open_guest(Machines *machines, pid_t tid);
void machines_close_guest(Machines *machines, pid_t tid);
/* How a process ended, as of wait(2). Of numbers that are no guest's nothing is kept. */
void machines_end_process(Machines *machines, pid_t pid, int status);
