/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/kernel/holders.h"
#include "policy/util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(const Holder *holder, void *userdata) {
        if (holder->pid <= 0 || !holder->target || !holder->name)
                abort();
        *(size_t *) userdata += strlen(holder->target) + strlen(holder->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = malloc(size + 1);
        size_t n = 0;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        holders_parse(text, take, &n);
        if (n > size)
                abort();
        return 0;
}
