/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What plugin.c and plugin-info.c share. */
#include "daemon/plugin/plugin-process.h"
#include "daemon/plugin/plugin.h"
#include "policy/util/list.h"

/* Answers that p50 and p99 are of. */
#define PLUGIN_TIMES 256
/* Failures whose time is remembered; no configured limit is larger. */
#define PLUGIN_FAILURES_MAX 100

typedef struct PluginInstance PluginInstance;

typedef struct PluginAsk {
        List link; /* of its instance, oldest first */
        uint64_t number;
        PluginAbility ability;
        uint64_t asked_us, due_us;
        char *line;          /* until it is sent */
        PluginDoneFunc done; /* NULL: nobody waits any longer */
        void *userdata;
} PluginAsk;

struct PluginInstance {
        Plugin *plugin;
        PluginProcess *process;
        uint64_t started_us;
        uint64_t head_us; /* since when the oldest question is the oldest */
        bool ready;
        List asks;
        size_t n_waiting; /* asks with a done() */
};

struct Plugin {
        PluginConfig *config;
        sd_event *event;
        sd_event_source *timer;
        char *host;
        PluginOps ops;
        void *userdata;
        PluginInstance *current, *next, *old;
        unsigned abilities; /* 1 << PluginAbility */
        bool abilities_known, aside;
        char *version;
        uint64_t restart_us; /* when the pause is over; USEC_INFINITY: there is none */
        uint64_t pause_us;
        uint64_t failed_us[PLUGIN_FAILURES_MAX];
        uint64_t number, asked, decided, failures, answered;
        uint32_t times[PLUGIN_TIMES];
        char last_error[PLUGIN_TEXT_MAX];
        char away[PLUGIN_TEXT_MAX + 64];
};
