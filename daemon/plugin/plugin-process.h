/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The process of a plugin: lines go in, lines come out, what it writes to stderr goes to the log. It is
 * in a process group of its own and is ended with all it has started.
 */
#include <stddef.h>
#include <systemd/sd-event.h>

#include "daemon/plugin/plugin-config.h"

/* A line of it may be so long: a reason and a few words more. */
#define PLUGIN_LINE_MAX ((size_t) 64 << 10)
/* What may wait for it: some 1,000 questions of a bad day. */
#define PLUGIN_QUEUE_MAX ((size_t) 16 << 20)

typedef struct PluginProcess PluginProcess;

/* Either function may free the process. */
typedef struct PluginProcessOps {
        void (*line)(const char *line, void *userdata);
        /* It ended, or is as good as ended: why, in words. Called once. */
        void (*ended)(const char *why, void *userdata);
} PluginProcessOps;

/* `host` is the path of tocsin-plugin. 0 or negative. */
int plugin_process_new(PluginProcess **ret,
                       sd_event *event,
                       const char *host,
                       const PluginConfig *config,
                       const PluginProcessOps *ops,
                       void *userdata);
/* Kills it if it lives. */
PluginProcess *plugin_process_free(PluginProcess *process);
DEFINE_CLEANUP(PluginProcess *, plugin_process_free);
/* Sends a line (its end included), or queues it. 0, -ENOBUFS or -ENOMEM; nothing is sent then. */
int plugin_process_send(PluginProcess *process, const char *line, size_t n);
/* Nothing more will be sent: a plugin ends then. */
void plugin_process_close_input(PluginProcess *process);
pid_t plugin_process_get_pid(const PluginProcess *process);
