/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/history.h"

#include <errno.h>
#include <stdlib.h>

uint32_t history_rule_key(const char *rule_name) {
        uint32_t hash = UINT32_C(2166136261); /* FNV-1a, 32 bits */

        for (const char *p = rule_name; *p; p++)
                hash = (hash ^ (uint8_t) *p) * UINT32_C(16777619);
        return hash ? hash : 1;
}

int history_add(History *history, const HistoryEntry *entry) {
        if (!history->entries) {
                history->entries = calloc(HISTORY_MAX, sizeof(*history->entries));
                if (!history->entries)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < history->n; i++)
                if (history->entries[i].incident == entry->incident) {
                        history->entries[i] = *entry;
                        return 0;
                }
        history->entries[history->next] = *entry;
        history->next = (history->next + 1) % HISTORY_MAX;
        if (history->n < HISTORY_MAX)
                history->n++;
        return 0;
}

void history_deinit(History *history) {
        free(history->entries);
        *history = (History){};
}

int64_t history_place(Moment then, bool same_boot, Moment now) {
        uint64_t age;

        if (same_boot)
                return (int64_t) then.boot_us;
        /* A clock set back since then: the strictest reading, as if it were just now. */
        age = now.real_us > then.real_us ? now.real_us - then.real_us : 0;
        return (int64_t) now.boot_us - (int64_t) age;
}

static bool history_is_within(const HistoryEntry *entry, uint64_t window_us, Moment now) {
        return (int64_t) now.boot_us - entry->boot_us < (int64_t) window_us;
}

unsigned history_count_action(const History *history, Action action, uint64_t window_us, Moment now) {
        unsigned count = 0;

        for (size_t i = 0; i < history->n; i++)
                count += history->entries[i].action == action &&
                         history_is_within(&history->entries[i], window_us, now);
        return count;
}

unsigned history_count_rule(const History *history, uint32_t rule, uint64_t window_us, Moment now) {
        unsigned count = 0;

        for (size_t i = 0; i < history->n; i++)
                count += history->entries[i].rule == rule &&
                         history_is_within(&history->entries[i], window_us, now);
        return count;
}

uint64_t history_action_until(const History *history, Action action, uint64_t window_us, Moment now) {
        uint64_t until = USEC_INFINITY;

        for (size_t i = 0; i < history->n; i++) {
                const HistoryEntry *entry = &history->entries[i];
                uint64_t leaves = (uint64_t) (entry->boot_us + (int64_t) window_us);

                if (entry->action == action && history_is_within(entry, window_us, now) &&
                    leaves < until)
                        until = leaves;
        }
        return until;
}
