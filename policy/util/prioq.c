/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/util/prioq.h"

#include <errno.h>
#include <stdlib.h>

static void prioq_place(Prioq *q, size_t i, PrioqNode *node) {
        q->nodes[i] = node;
        node->index = i + 1;
}

static void prioq_sift(Prioq *q, size_t i) {
        PrioqNode *node = q->nodes[i];

        while (i > 0 && q->nodes[(i - 1) / 2]->key > node->key) {
                prioq_place(q, i, q->nodes[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        for (;;) {
                size_t child = 2 * i + 1;

                if (child >= q->n)
                        break;
                if (child + 1 < q->n && q->nodes[child + 1]->key < q->nodes[child]->key)
                        child++;
                if (q->nodes[child]->key >= node->key)
                        break;
                prioq_place(q, i, q->nodes[child]);
                i = child;
        }
        prioq_place(q, i, node);
}

static void prioq_remove(Prioq *q, PrioqNode *node) {
        size_t i = node->index - 1;

        node->index = 0;
        q->n--;
        if (i == q->n)
                return;
        prioq_place(q, i, q->nodes[q->n]);
        prioq_sift(q, i);
}

int prioq_set(Prioq *q, PrioqNode *node, uint64_t key) {
        if (key == UINT64_MAX) {
                if (node->index > 0)
                        prioq_remove(q, node);
                node->key = key;
                return 0;
        }
        if (node->index == 0) {
                if (q->n == q->size) {
                        size_t size = q->size ? 2 * q->size : 16;
                        PrioqNode **nodes = reallocarray(q->nodes, size, sizeof(*nodes));

                        if (!nodes)
                                return -ENOMEM;
                        q->nodes = nodes;
                        q->size = size;
                }
                node->key = key;
                prioq_place(q, q->n++, node);
        }
        node->key = key;
        prioq_sift(q, node->index - 1);
        return 0;
}

PrioqNode *prioq_peek(const Prioq *q) {
        return q->n > 0 ? q->nodes[0] : NULL;
}

void prioq_deinit(Prioq *q) {
        free(q->nodes);
        *q = (Prioq){};
}
