/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flattened dump is the same file in whatever parts it comes: its first byte says in how large ones.
 * Offsets never pass the end of any file.
 */
#include <stdlib.h>

#include "daemon/evidence/flattened.h"

typedef struct Sum {
        uint64_t value, n;
} Sum;

/* Of each byte with its place, so that the cuts between parts don't matter. */
static int fuzz_write(uint64_t offset, const void *data, size_t n, void *userdata) {
        const unsigned char *bytes = data;
        Sum *sum = userdata;

        if (n == 0 || offset > INT64_MAX || n > INT64_MAX - offset)
                abort();
        for (size_t i = 0; i < n; i++)
                sum->value = (sum->value ^ (offset + i)) * UINT64_C(0x100000001b3) + bytes[i];
        sum->n += n;
        return 0;
}

static int fuzz_feed(const uint8_t *data, size_t size, size_t at_once, Sum *sum) {
        static Flattened f;
        int r = 0;

        flattened_init(&f, fuzz_write, sum);
        for (size_t i = 0; r == 0 && i < size; i += at_once)
                r = flattened_feed(&f, data + i, size - i < at_once ? size - i : at_once);
        if ((r != 0) != (f.problem != NULL))
                abort();
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Sum whole = {}, parts = {};

        if (size < 1)
                return 0;
        if (fuzz_feed(data + 1, size - 1, size, &whole) !=
                    fuzz_feed(data + 1, size - 1, data[0] + 1U, &parts) ||
            whole.value != parts.value || whole.n != parts.n)
                abort();
        return 0;
}
