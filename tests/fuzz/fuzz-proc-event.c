/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/proc-event.h"
#include "policy/util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        /* of its very size, so that a byte read beyond it is seen */
        _cleanup_free_ void *copy = malloc(size + !size);
        pid_t died;
        int status;

        if (!copy)
                return 0;
        if (size > 0)
                memcpy(copy, data, size);
        (void) proc_event_parse(copy, size, &died, &status);
        return 0;
}
