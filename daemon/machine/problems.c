/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is ten thousand guests in trouble at once, each of which comes up again every minute:
 * what is remembered has to be bounded, and what is not remembered must not be told each time.
 */
#include "daemon/machine/problems.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/util/cleanup.h"
#include "policy/util/moment.h"

static void problems_remove(Problems *problems, size_t i) {
        free(problems->items[i].key);
        free(problems->items[i].text);
        problems->items[i] = problems->items[--problems->n_items];
}

static Problem *problems_find(const Problems *problems, const char *key) {
        for (size_t i = 0; i < problems->n_items; i++)
                if (strcmp(problems->items[i].key, key) == 0)
                        return &problems->items[i];
        return NULL;
}

static uint64_t problems_now(void) {
        struct timespec now = {};

        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static void problems_tell_more(Problems *problems, bool more) {
        if (problems->more == more)
                return;
        problems->more = more;
        problems->func("connections",
                       more ? "more of them are in trouble than can be told" : NULL,
                       problems->userdata);
}

/* One that perhaps nobody will ever say is mended, since whoever it was about has gone. */
static bool problems_forget_stale(Problems *problems) {
        uint64_t now_us = problems_now();

        for (size_t i = 0; i < problems->n_items; i++) {
                if (now_us - problems->items[i].seen_us < PROBLEMS_STALE_US)
                        continue;
                problems->func(problems->items[i].key, "", problems->userdata);
                problems_remove(problems, i);
                return true;
        }
        return false;
}

/* Without memory it is told again next time: better twice than never. */
static void problems_remember(Problems *problems, const char *key, const char *text) {
        _cleanup_free_ char *key_copy = strdup(key), *text_copy = strdup(text);
        Problem *items;

        if (!key_copy || !text_copy)
                return;
        items = reallocarray(problems->items, problems->n_items + 1, sizeof(Problem));
        if (!items)
                return;
        problems->items = items;
        items[problems->n_items++] = (Problem){ .key = TAKE_PTR(key_copy),
                                                .text = TAKE_PTR(text_copy),
                                                .seen_us = problems_now() };
}

const char *problems_get(const Problems *problems, const char *key) {
        const Problem *problem = problems_find(problems, key);

        return problem ? problem->text : NULL;
}

void problems_set(Problems *problems, const char *key, const char *text) {
        Problem *problem = problems_find(problems, key);

        if (text && !*text)
                return;
        if (problem && text && strcmp(problem->text, text) == 0) {
                problem->seen_us = problems_now();
                return;
        }
        if (!problem && !text)
                return;
        if (!problem && problems->n_items >= PROBLEMS_MAX && !problems_forget_stale(problems)) {
                problems_tell_more(problems, true);
                return;
        }
        problems->func(key, text, problems->userdata);
        if (problem)
                problems_remove(problems, (size_t) (problem - problems->items));
        if (text)
                problems_remember(problems, key, text);
        if (problems->n_items < PROBLEMS_MAX / 2)
                problems_tell_more(problems, false);
}

void problems_deinit(Problems *problems) {
        while (problems->n_items > 0)
                problems_remove(problems, problems->n_items - 1);
        free(problems->items);
        problems->items = NULL;
}
