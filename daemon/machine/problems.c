/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/problems.h"

#include <string.h>

#include "policy/util/cleanup.h"

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

/* Without memory it is told again next time: better twice than never. */
static void problems_remember(Problems *problems, const char *key, const char *text) {
        _cleanup_free_ char *key_copy = strdup(key), *text_copy = strdup(text);
        Problem *items;

        if (!key_copy || !text_copy)
                return;
        if (problems->n_items >= PROBLEMS_MAX) {
                /* somebody's who will perhaps never call again; whose it is does not matter */
                problems->func(problems->items[0].key, NULL, problems->userdata);
                problems_remove(problems, 0);
        }
        items = realloc(problems->items, (problems->n_items + 1) * sizeof(Problem));
        if (!items)
                return;
        problems->items = items;
        items[problems->n_items++] = (Problem){ .key = TAKE_PTR(key_copy),
                                                .text = TAKE_PTR(text_copy) };
}

void problems_set(Problems *problems, const char *key, const char *text) {
        Problem *problem = problems_find(problems, key);

        if (problem && text && strcmp(problem->text, text) == 0)
                return;
        if (!problem && !text)
                return;
        problems->func(key, text, problems->userdata);
        if (problem)
                problems_remove(problems, (size_t) (problem - problems->items));
        if (text)
                problems_remember(problems, key, text);
}

void problems_deinit(Problems *problems) {
        while (problems->n_items > 0)
                problems_remove(problems, problems->n_items - 1);
        free(problems->items);
        problems->items = NULL;
}
