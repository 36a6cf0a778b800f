/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/util/nearest.h"

#include <stdint.h>
#include <string.h>

static size_t nearest_min(size_t a, size_t b) {
        return a < b ? a : b;
}

/* Optimal string alignment, three rows at a time. */
static size_t nearest_distance(const char *a, size_t n_a, const char *b, size_t n_b) {
        size_t rows[3][NEAREST_WORD_MAX + 1];
        size_t *above2 = rows[0], *above = rows[1], *row = rows[2], *spare;

        for (size_t j = 0; j <= n_b; j++)
                above[j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        row[j] = nearest_min(above[j], row[j - 1]) + 1;
                        row[j] = nearest_min(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = nearest_min(row[j], above2[j - 2] + 1);
                }
                spare = above2;
                above2 = above;
                above = row;
                row = spare;
        }
        return above[n_b];
}

void nearest_init(Nearest *nearest, const char *word) {
        *nearest = (Nearest){ .word = word, .distance = SIZE_MAX };
}

void nearest_offer(Nearest *nearest, const char *candidate) {
        size_t n_word = strlen(nearest->word), n_candidate = strlen(candidate), distance;

        if (n_word > NEAREST_WORD_MAX || n_candidate == 0 || n_candidate > NEAREST_WORD_MAX)
                return;
        distance = nearest_distance(nearest->word, n_word, candidate, n_candidate);
        if (distance >= nearest->distance || distance > (n_candidate + 2) / 3)
                return;
        nearest->best = candidate;
        nearest->distance = distance;
}

const char *nearest_get(const Nearest *nearest) {
        return nearest->best;
}
