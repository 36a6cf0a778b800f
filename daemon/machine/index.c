/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/index.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define INDEX_BUCKETS_MIN 16

/* FNV-1a. Keys come from a host's users, and there are at most some ten thousand of them. */
static size_t index_hash(const char *key) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *key; key++)
                hash = (hash ^ (unsigned char) *key) * UINT64_C(0x100000001b3);
        return (size_t) (hash ^ hash >> 32);
}

static int index_grow(Index *index) {
        size_t n = index->n_buckets ? index->n_buckets * 2 : INDEX_BUCKETS_MIN;
        IndexLink **buckets = calloc(n, sizeof(IndexLink *));

        if (!buckets)
                return -ENOMEM;
        for (size_t i = 0; i < index->n_buckets; i++)
                for (IndexLink *link = index->buckets[i], *next; link; link = next) {
                        next = link->next;
                        link->next = buckets[link->hash % n];
                        buckets[link->hash % n] = link;
                }
        free(index->buckets);
        index->buckets = buckets;
        index->n_buckets = n;
        return 0;
}

int index_add(Index *index, IndexLink *link, const char *key) {
        size_t at;

        if (index_find(index, key))
                return -EEXIST;
        if (index->n >= index->n_buckets && index_grow(index) < 0)
                return -ENOMEM;
        link->key = key;
        link->hash = index_hash(key);
        at = link->hash % index->n_buckets;
        link->next = index->buckets[at];
        index->buckets[at] = link;
        index->n++;
        return 0;
}

void index_remove(Index *index, IndexLink *link) {
        IndexLink **at;

        if (!link->key)
                return;
        for (at = &index->buckets[link->hash % index->n_buckets]; *at != link; at = &(*at)->next)
                ;
        *at = link->next;
        *link = (IndexLink){};
        index->n--;
}

IndexLink *index_find(const Index *index, const char *key) {
        size_t hash;

        if (index->n == 0)
                return NULL;
        hash = index_hash(key);
        for (IndexLink *link = index->buckets[hash % index->n_buckets]; link; link = link->next)
                if (link->hash == hash && strcmp(link->key, key) == 0)
                        return link;
        return NULL;
}

void index_deinit(Index *index) {
        free(index->buckets);
        *index = (Index){};
}
