/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/qmp/throttle.h"

#include <errno.h>
#include <string.h>

/* QEMU's table has more; of the events in our vocabulary it throttles this one. */
static const char *const throttle_events[] = { "WATCHDOG" };

bool throttle_has(const char *event) {
        for (size_t i = 0; i < ELEMENTSOF(throttle_events); i++)
                if (strcmp(event, throttle_events[i]) == 0)
                        return true;
        return false;
}

int throttle_offer(Throttle *throttle, uint64_t seq, const char *text, size_t n) {
        char *copy;

        if (!throttle->open) {
                throttle->open = true;
                return 0;
        }

        copy = malloc(n);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, n);
        free(throttle->text);
        throttle->text = copy;
        throttle->n = n;
        throttle->seq = seq;
        return THROTTLE_E_KEPT;
}

bool throttle_expire(Throttle *throttle, uint64_t *ret_seq, char **ret_text, size_t *ret_n) {
        throttle->open = throttle->text != NULL;
        if (!throttle->open)
                return false;
        *ret_seq = throttle->seq;
        *ret_n = throttle->n;
        *ret_text = TAKE_PTR(throttle->text);
        return true;
}

void throttle_deinit(Throttle *throttle) {
        free(throttle->text);
        *throttle = (Throttle){};
}
