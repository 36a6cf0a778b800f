/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The sources of the host's own kernel: each listens to one thing and says what it hears through
 * SourcesOps. One that can't listen is off and says why; the others go on.
 */
#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "daemon/kernel/kernel-client.h"
#include "policy/observation.h"

typedef struct Sources Sources;

typedef struct SourcesOps {
        /* A virtual machine was made by that thread, or by the process of that number; or it was closed. */
        void (*guest_opened)(pid_t tid, void *userdata);
        void (*guest_closed)(pid_t tid, void *userdata);
        /* `status` as of wait(2) */
        void (*died)(pid_t pid, int status, void *userdata);
        /* The host's watchdog is about to bite, or has bitten. `time_us`: CLOCK_REALTIME. */
        void (*watchdog)(const char *text, uint64_t time_us, void *userdata);
        /* One line for the log; `name` of the source. */
        void (*report)(int level, const char *name, const char *text, void *userdata);
} SourcesOps;

/* `state_dir`: where it is remembered what has been told in this boot. */
int sources_new(Sources **ret,
                sd_event *event,
                KernelClient *kernel,
                const char *state_dir,
                const SourcesOps *ops,
                void *userdata);
Sources *sources_free(Sources *sources);
DEFINE_CLEANUP(Sources *, sources_free);

/* For query-sources: an array of SourceInfo. NULL: out of memory. */
json_object *sources_to_json(const Sources *sources);

/* For query-watchdogs: an array of WatchdogInfo (NULL: out of memory), later and exactly once. */
typedef void (*SourcesWatchdogsDone)(json_object *watchdogs, void *userdata);
int sources_query_watchdogs(Sources *sources, SourcesWatchdogsDone done, void *userdata);
