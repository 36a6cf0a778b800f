/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Intrusive doubly linked ring. A List is both the head and the link in an element; an element that
 * is in no list points at itself, so list_remove() may be called twice.
 */
#include <stdbool.h>

#include "policy/util/cleanup.h"

typedef struct List List;

struct List {
        List *prev, *next;
};

#define LIST_INIT(head)                                                                            \
        { &(head), &(head) }

static inline void list_init(List *list) {
        list->prev = list->next = list;
}

static inline bool list_is_empty(const List *list) {
        return list->next == list;
}

static inline void list_append(List *list, List *link) {
        link->prev = list->prev;
        link->next = list;
        list->prev->next = link;
        list->prev = link;
}

static inline void list_remove(List *link) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        list_init(link);
}

#define list_entry(link, type, member) CONTAINER_OF(link, type, member)

#define list_foreach(i, head) for (List * (i) = (head)->next; (i) != (head); (i) = (i)->next)

/* The current element may be removed and freed in the body. */
#define list_foreach_safe(i, n, head)                                                              \
        for (List * (i) = (head)->next, *(n) = (i)->next; (i) != (head); (i) = (n), (n) = (i)->next)
