/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store/store-holes.h"

#include <string.h>

static const char *const reasons[_STORE_HOLE_MAX] = {
        [STORE_HOLE_UNCLEAN_END] = "unclean-end",
        [STORE_HOLE_STORE] = "store",
};

const char *store_hole_reason_to_string(StoreHoleReason reason) {
        return reasons[reason];
}

StoreHoleReason store_hole_reason_from_string(const char *s) {
        return s && strcmp(s, reasons[STORE_HOLE_UNCLEAN_END]) == 0 ? STORE_HOLE_UNCLEAN_END
                                                                    : STORE_HOLE_STORE;
}

static void store_holes_remove(StoreHoles *holes, size_t i) {
        holes->n--;
        memmove(&holes->holes[i], &holes->holes[i + 1], (holes->n - i) * sizeof(holes->holes[0]));
}

void store_holes_add(StoreHoles *holes, uint64_t first, uint64_t last, StoreHoleReason reason) {
        StoreHole *end = holes->n > 0 ? &holes->holes[holes->n - 1] : NULL;

        if (first > last)
                return;
        /* An unclean end swallows what was dropped in that life, and another unclean end. */
        if (end && first <= end->last + 1 && (end->reason == reason || first <= end->last)) {
                if (first < end->first)
                        end->first = first;
                if (last > end->last)
                        end->last = last;
                if (reason == STORE_HOLE_UNCLEAN_END)
                        end->reason = reason;
                return;
        }
        /* What lies between the two oldest is in the log, or has expired: nobody asks for it. */
        if (holes->n == STORE_HOLES_MAX) {
                holes->holes[1].first = holes->holes[0].first;
                store_holes_remove(holes, 0);
        }
        holes->holes[holes->n++] = (StoreHole){ .first = first, .last = last, .reason = reason };
}

const StoreHole *store_holes_find(const StoreHoles *holes, uint64_t seq) {
        for (size_t i = 0; i < holes->n; i++)
                if (seq >= holes->holes[i].first && seq <= holes->holes[i].last)
                        return &holes->holes[i];
        return NULL;
}

void store_holes_expire(StoreHoles *holes, uint64_t first_seq) {
        while (holes->n > 0 && holes->holes[0].last < first_seq)
                store_holes_remove(holes, 0);
}
