/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/progress.h"

#include <inttypes.h>

#include "daemon/ctl/value.h"

/* As wide as a note in `top` has room for at 80 columns. */
#define PROGRESS_WIDTH 20

void progress_add_dump(Text *text, json_object *dump) {
        uint64_t completed = value_get_uint(dump, "completed"), total = value_get_uint(dump, "total");
        uint64_t incident = value_get_uint(dump, "incident");
        double part;

        if (total == 0) {
                text_printf(text, "for incident %" PRIu64 ": waits, or just begins", incident);
                return;
        }
        part = completed < total ? (double) completed / (double) total : 1;
        text_add(text, "[");
        for (unsigned i = 0; i < PROGRESS_WIDTH; i++)
                text_add(text, i < (unsigned) (part * PROGRESS_WIDTH) ? "#" : " ");
        text_printf(text, "] %u %%, ", (unsigned) (part * 100));
        text_add_size(text, value_get_uint(dump, "kept"));
        text_printf(text, " kept for incident %" PRIu64, incident);
}
