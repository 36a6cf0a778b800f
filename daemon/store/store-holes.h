/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Event numbers that were given and never written, and why. Numbers that expired are not here: a
 * number that is missing from the log and lies in no hole has expired.
 */
#include <stddef.h>
#include <stdint.h>

/* The oldest holes become one when there are more. */
#define STORE_HOLES_MAX 64

typedef enum StoreHoleReason {
        STORE_HOLE_UNCLEAN_END, /* tocsind ended before it could write what it may have sent */
        STORE_HOLE_STORE,       /* the disk would not take them */
        _STORE_HOLE_MAX,
} StoreHoleReason;

typedef struct StoreHole {
        uint64_t first, last;
        StoreHoleReason reason;
} StoreHole;

typedef struct StoreHoles {
        StoreHole holes[STORE_HOLES_MAX]; /* by number */
        size_t n;
} StoreHoles;

const char *store_hole_reason_to_string(StoreHoleReason reason);
StoreHoleReason store_hole_reason_from_string(const char *s); /* unknown words: STORE */

/* Holes are added in the order of numbers; one that overlaps the last is joined with it. */
void store_holes_add(StoreHoles *holes, uint64_t first, uint64_t last, StoreHoleReason reason);
const StoreHole *store_holes_find(const StoreHoles *holes, uint64_t seq);
/* Forgets what lies below the oldest number kept. */
void store_holes_expire(StoreHoles *holes, uint64_t first_seq);
