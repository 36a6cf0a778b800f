/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * "Did you mean": of all words offered, the one nearest to what was typed, by the number of letters
 * to insert, drop, replace or swap with their neighbour.
 */
#include <stddef.h>

/* Longer words are taken for no typing error of anything. */
#define NEAREST_WORD_MAX 40

typedef struct Nearest {
        const char *word; /* borrowed, as the words offered are */
        const char *best;
        size_t distance;
} Nearest;

void nearest_init(Nearest *nearest, const char *word);
void nearest_offer(Nearest *nearest, const char *candidate);
/* NULL when no candidate is near enough to be meant: more than a third of the letters differ. */
const char *nearest_get(const Nearest *nearest);
