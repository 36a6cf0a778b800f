/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A hash table of elements that bring their own link: finding one of 10,000 guests by name, path or
 * run must not be a walk. A key is borrowed from its element and must not change while it is in.
 */
#include <stddef.h>

#include "policy/util/cleanup.h"

typedef struct IndexLink IndexLink;

struct IndexLink {
        IndexLink *next;
        const char *key; /* NULL: in no table */
        size_t hash;
};

typedef struct Index {
        IndexLink **buckets;
        size_t n_buckets, n;
} Index;

/* 0, -EEXIST or -ENOMEM. */
int index_add(Index *index, IndexLink *link, const char *key);
/* Nothing happens to a link that is in no table. */
void index_remove(Index *index, IndexLink *link);
IndexLink *index_find(const Index *index, const char *key);
/* The elements are left alone. */
void index_deinit(Index *index);
