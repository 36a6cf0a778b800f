/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* [notify NAME], checked. tocsind reads when and for what a program is run, tocsin-kernel which one. */
#include <stddef.h>
#include <stdint.h>

/* When a program is run; bit N of `on` for moment N. */
typedef enum NotifyMoment {
        NOTIFY_OPENED, /* it is known what is to be done about the incident */
        NOTIFY_CLOSED, /* the record is complete */
        _NOTIFY_MOMENT_MAX,
} NotifyMoment;

typedef struct NotifyConfig {
        char *name;
        char *program;
        char *user;
        char *machine;  /* glob, or NULL: every machine */
        unsigned kinds; /* 1 << IncidentKind; 0: every kind */
        unsigned on;    /* 1 << NotifyMoment */
        uint64_t deadline_us;
} NotifyConfig;

/* In config-notify.c: all of them, and the array. */
NotifyConfig *notify_configs_free(NotifyConfig *configs, size_t n);
