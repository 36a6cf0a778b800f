/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * QEMU's throttling of events, for those that tocsin itself makes on a machine's endpoint: the first
 * is sent at once and opens a window; of those within it only the last is kept, and is sent at its
 * end with its own, older timestamp, which opens the next window. No clock in here: the owner calls
 * throttle_expire() THROTTLE_WINDOW_US after a window opened.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/util/cleanup.h"

typedef struct Throttle Throttle;

/* As QEMU's table has it for every event in it (monitor/monitor.c, 1000 ms). */
#define THROTTLE_WINDOW_US UINT64_C(1000000)

struct Throttle {
        bool open;  /* a window is */
        char *text; /* the event that waits for its end; NULL: none */
        size_t n;
        uint64_t seq;
};

/* Is this event one of those that QEMU throttles? */
bool throttle_has(const char *event);

#define THROTTLE_E_KEPT 1
/* 0: send it now; a window has opened. THROTTLE_E_KEPT: it waits, in place of one that waited
 * before. -ENOMEM: neither. */
int throttle_offer(Throttle *throttle, uint64_t seq, const char *text, size_t n);
/* True: an event has waited; send it, the text is the caller's (free()); the next window has opened.
 * False: no window is open any more. */
bool throttle_expire(Throttle *throttle, uint64_t *ret_seq, char **ret_text, size_t *ret_n);
void throttle_deinit(Throttle *throttle);
