/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What was decided and carried out for one machine in the last day, at most 64 of them: what limits
 * and the loop guard count, and what plugins are given. Times are kept on CLOCK_BOOTTIME, so that
 * no jump of the clock opens or closes a window; an entry of an earlier boot is placed by
 * the real time between.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/util/moment.h"
#include "qapi-types.h"

#define HISTORY_MAX 64
#define HISTORY_AGE_US (UINT64_C(24) * 3600 * USEC_PER_SEC)

typedef struct HistoryEntry {
        int64_t boot_us; /* negative: before this boot */
        uint64_t incident;
        uint32_t rule; /* history_rule_key() of the rule that decided, or 0 */
        uint8_t kind, action;
} HistoryEntry;

typedef struct History {
        HistoryEntry *entries; /* a ring; NULL until the first one */
        size_t n, next;
} History;

/* A rule is known by its name: reloads keep its window. Never 0. */
uint32_t history_rule_key(const char *rule_name);

/* -ENOMEM. An entry for an incident that is there already is replaced. */
int history_add(History *history, const HistoryEntry *entry);
void history_deinit(History *history);

/* The time of a recorded decision on this boot's clock. */
int64_t history_place(Moment then, bool same_boot, Moment now);

/* How many actions `action` (resets of whoever decided: rule 0), or decisions of the rule, lie within
 * the window that ends now. */
unsigned history_count_action(const History *history, Action action, uint64_t window_us, Moment now);
unsigned history_count_rule(const History *history, uint32_t rule, uint64_t window_us, Moment now);
/* When the oldest of these leaves the window (boot_us); USEC_INFINITY when there is none. */
uint64_t history_action_until(const History *history, Action action, uint64_t window_us, Moment now);
