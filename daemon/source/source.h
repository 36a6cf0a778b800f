/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a source is to sources.c, and what sources.c offers it. */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/source/sources.h"
#include "policy/util/cleanup.h"

typedef struct Source Source;

typedef struct SourceType {
        const char *name;
        const char *through; /* for people: what it listens to */
        /* Begins to listen. When that fails it has said why with source_fail(); it may fail later, too. */
        int (*open)(Source *source);
        /* Called once, however open() ended. */
        void (*close)(Source *source);
} SourceType;

struct Source {
        const SourceType *type;
        Sources *sources;
        void *state; /* the type's own */
        char *why;   /* why it is off; NULL: it is on */
        uint64_t events, overruns, last_us;
};

extern const SourceType source_uevents, source_deaths, source_watchdogs;

sd_event *source_get_event(const Source *source);
KernelClient *source_get_kernel(const Source *source);
const char *source_get_state_dir(const Source *source);
const SourcesOps *source_get_ops(const Source *source, void **ret_userdata);
/* It has heard something. */
void source_count(Source *source);
/* Something was lost; the first time is reported. */
void source_overrun(Source *source);
/* It is off, in words for people. */
void source_fail(Source *source, const char *format, ...) _printf_(2, 3);
/* It is off so far, as what comes next may tell. */
void source_wait(Source *source, const char *why);
/* It is on after all. */
void source_recover(Source *source);
void source_report(const Source *source, int level, const char *format, ...) _printf_(3, 4);

/* source-watchdogs.c */
int source_watchdogs_query(Source *source, SourcesWatchdogsDone done, void *userdata);
