/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The [notify] programs that run: how long each may, what it prints, how it ends. */
#include <systemd/sd-event.h>

#include "daemon/kernel/notify-config.h"
#include "daemon/kernel/notify-request.h"

/* Between SIGTERM and SIGKILL. */
#define NOTIFIER_GRACE_US (5 * USEC_PER_SEC)
/* What is kept of what one prints; it becomes a line of the record. */
#define NOTIFIER_OUTPUT_MAX 4096

typedef struct Notifier Notifier;

/* r: 0, or -ECHILD when it did not end well. `text`: how it ended, a newline, and what it printed.
 * Exactly once, unless the notifier is freed before. */
typedef void (*NotifierFunc)(int r, const char *text, void *userdata);

int notifier_new(Notifier **ret, sd_event *event);
/* Ends all that run. */
Notifier *notifier_free(Notifier *notifier);
DEFINE_CLEANUP(Notifier *, notifier_free);
/* 0; -EBUSY: as many as may run do; or as notify_program_start(). */
int notifier_start(Notifier *notifier,
                   const NotifyConfig *config,
                   const NotifyRequest *request,
                   NotifierFunc func,
                   void *userdata,
                   char **ret_error);
