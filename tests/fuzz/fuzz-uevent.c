/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/uevent.h"
#include "policy/util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        /* of its very size, so that a byte read beyond it is seen */
        _cleanup_free_ char *copy = malloc(size + !size);
        UeventGuest what;
        Uevent uevent;
        pid_t tid;

        if (!copy)
                return 0;
        if (size > 0)
                memcpy(copy, data, size);
        if (uevent_parse(copy, size, &uevent) == 0 &&
            uevent_read_guest(&uevent, &what, &tid) == 0 && tid <= 0)
                abort();
        return 0;
}
