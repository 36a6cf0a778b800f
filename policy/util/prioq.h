/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A binary heap of intrusive nodes, smallest key first. */
#include <stddef.h>
#include <stdint.h>

typedef struct PrioqNode {
        uint64_t key;
        size_t index; /* one more than its place; 0: in no queue */
} PrioqNode;

typedef struct Prioq {
        PrioqNode **nodes;
        size_t n, size;
} Prioq;

/* Puts the node in with this key, or moves it. UINT64_MAX takes it out. 0 or -ENOMEM. */
int prioq_set(Prioq *q, PrioqNode *node, uint64_t key);
PrioqNode *prioq_peek(const Prioq *q); /* NULL when empty */
void prioq_deinit(Prioq *q);           /* the nodes are their owners' */
