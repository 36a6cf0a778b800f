/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * How the parts of daemon/machine/ hang together. Machines owns ways and runs. A Way is one way in:
 * a path that is tried again and again, or a connection that called us. A Run is one life of a
 * guest, one process. Ways come to runs (way.c asks machines_admit() who it is) and leave them; a
 * run lives as long as its process, with or without a way.
 */
#include <sys/socket.h>

#include "daemon/kernel/kernel-client.h"
#include "daemon/machine/attach-socket.h"
#include "daemon/machine/backend.h"
#include "daemon/machine/index.h"
#include "daemon/machine/machines.h"
#include "daemon/machine/path-watch.h"
#include "daemon/machine/problems.h"
#include "daemon/machine/process.h"
#include "daemon/machine/qmp-client.h"
#include "daemon/machine/qmp-identity.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

/* Connections and paths in all; design section 10 asks for 10,000 guests. */
#define MACHINES_WAYS_MAX 16384
/* Of one process: the one in use, and spares. */
#define RUN_WAYS_MAX 4
/* Events kept while it is not yet known whose they are. */
#define WAY_HELD_MAX 256
/* A process's number as text. */
#define RUN_PID_SIZE 12

typedef struct Way Way;
typedef struct Run Run;

typedef enum WayKind {
        WAY_PATH,   /* configured */
        WAY_FOUND,  /* matches a glob; forgotten when its socket is gone */
        WAY_CALLED, /* came in at attach.sock; forgotten when it ends */
} WayKind;

typedef enum WayState {
        WAY_WAITING,    /* for its time to try again, or for the socket to appear */
        WAY_CONNECTING, /* the helper was asked */
        WAY_ATTACHING,  /* connected: greeting, negotiation, identity */
        WAY_JOINED,     /* its run is known */
        _WAY_STATE_MAX,
} WayState;

struct Way {
        Machines *machines;
        List ways;
        IndexLink by_path;
        WayKind kind;
        WayState state;
        char *key;    /* the path, or who called; names it in problems */
        char *name;   /* configured, or NULL */
        List crowd;   /* of machines, while it waits for room; crowd.c */
        char *led_to; /* the machine whose connection was lost here, or NULL */
        char *why;    /* the last attempt failed; NULL: it did not */
        bool gone;    /* ... as it does when its QEMU has ended */
        bool wanted;  /* while a configuration is applied */
        struct ucred peer;

        QmpClient *client;
        QmpInquiry *inquiry;
        List held; /* events that came while attaching */
        unsigned n_held, n_unheld;

        Run *run;
        List run_ways; /* of the run */
        uint64_t joined_us;

        sd_event_source *retry;
        uint64_t pause_us;
};

struct Run {
        Machines *machines;
        List runs;
        IndexLink by_name, by_id, by_pid;
        char *name, *shown, *uuid, *version;
        char id[PROCESS_RUN_ID_SIZE], pid[RUN_PID_SIZE];
        Process process;
        pid_t vm_tid; /* the thread that made its virtual machine, where the kernel said so */
        int signal;   /* that ended it; 0: none, or not known */
        bool closed;  /* its virtual machine is no more, whatever its process does */
        unsigned abilities;
        const Backend *backend;

        List ways; /* joined; one is in use */
        Way *way;  /* the one in use, or NULL */

        sd_event_source *exit;  /* readable pidfd */
        sd_event_source *timer; /* the moment after a loss */
        uint64_t exited_us;     /* 0: lives */
        char *lost_why;         /* the connection ended, not yet told */

        /* silence.c */
        uint64_t asked_us;   /* 0: no question is open */
        uint64_t checked_us; /* when its CPU time was last looked at */
        uint64_t busy_us;    /* when that had grown */
        uint64_t ticks;
        bool silent;
};

struct Machines {
        sd_event *event;
        struct KernelClient *kernel;
        const MachinesOps *ops;
        void *userdata;

        List ways, runs;
        List guests; /* of process-guest.c: they wait for their process to last */
        size_t n_ways, n_ways_in[_WAY_STATE_MAX], n_runs, n_guests;
        Index ways_by_path, runs_by_name, runs_by_id, runs_by_pid;
        PathWatch **watches;
        size_t n_watches;
        AttachSocket *attach;
        char *runtime_dir;
        Problems problems;
        List crowd; /* ways that wait for room */
        bool crowded;
        sd_event_source *crowd_look;

        uint64_t heartbeat_us, silent_us;
        sd_event_source *heartbeat;
};

/* machines.c */
uint64_t machines_now(const Machines *machines, clockid_t clock);
/* Decides whose way it is, and joins it. NULL, or words to be freed: it is refused. */
char *machines_admit(Machines *machines, Way *way, QmpIdentity *identity);
/* Whether something tells us when the socket at that path appears. */
bool machines_is_watched(const Machines *machines, const char *path);

/* way.c */
int way_new_path(Machines *machines, WayKind kind, const char *path, const char *name, Way **ret);
int way_new_called(Machines *machines, int fd, const struct ucred *peer);
/* Not from within a callback of its own client. */
Way *way_free(Way *way);
int way_set_name(Way *way, const char *name);
/* Tries now, if it waits. */
void way_kick(Way *way);
/* Its run is over: it begins anew, or is forgotten. */
void way_leave(Way *way);

/* run.c */
int run_new(Machines *machines, const char *name, QmpIdentity *identity, Process *process, Run **ret);
Run *run_free(Run *run);
bool run_has_exited(const Run *run);
void run_join(Run *run, Way *way, const QmpIdentity *identity);
void run_part(Run *run, Way *way, const char *why);
void run_take_event(Run *run, const QmpClientEvent *event);
/* The process is gone: says so, and frees the run. */
void run_end(Run *run);
/* Its virtual machine is closed: so it ends, with its process or without. */
void run_close(Run *run);
/* It goes on as another run of the same process: frees this one. */
void run_withdraw(Run *run, const char *name);
void run_observe_attached(Run *run, RunState state, bool running);
int run_command(Run *run, const BackendCall *call);
/* An observation with who, which run and when filled in. */
Observation run_observation(const Run *run, ObservationType type);
void run_observe(const Run *run, const Observation *observation);

/* process-guest.c */
void process_guest_forget_all(Machines *machines);
bool process_guest_is(const Run *run);

/* silence.c */
int silence_configure(Machines *machines);
/* A run has come, or has a connection again. */
void silence_begin(Run *run);
void silence_end(Run *run);
