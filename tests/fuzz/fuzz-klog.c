/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever a guest's log holds, what is taken out of it is printable, and in its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decode/klog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(const char *text, size_t size) {
        if (!memchr(text, '\0', size))
                abort();
        for (const char *p = text; *p; p++)
                if (*p < 0x20 || *p > 0x7e)
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        KlogPanic panic;

        if (!klog_find_panic((const char *) data, size, &panic))
                return 0;
        fuzz_check(panic.line, sizeof(panic.line));
        fuzz_check(panic.trace, sizeof(panic.trace));
        if (!*panic.line)
                abort();
        return 0;
}
