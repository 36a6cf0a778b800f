/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever is pasted: no crash, and what comes out of it can be decoded into printable lines. The
 * second half of an input with a form feed in it is taken as a System.map.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decode/decode.h"
#include "policy/decode/paste.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data, *cut = size > 0 ? memchr(text, '\f', size) : NULL;
        size_t n = cut ? (size_t) (cut - text) : size;
        SystemMap map = { cut ? cut + 1 : NULL, cut ? size - n - 1 : 0 };
        char signature[DECODE_SIGNATURE_SIZE];
        Paste paste = PASTE_NULL;

        if (paste_parse(&paste, text, n) < 0)
                abort();
        for (size_t i = 0; i < paste.n_items; i++) {
                Decoded decoded;

                decode_panic(paste.items[i].info, &map, &decoded);
                fuzz_check(decoded.headline);
                for (size_t k = 0; k < decoded.n_lines; k++)
                        fuzz_check(decoded.lines[k]);
                for (size_t k = 0; k < decoded.n_rows; k++)
                        fuzz_check(decoded.rows[k].text);
                (void) decode_get_panic_signature(paste.items[i].info,
                                                  decoded.headline,
                                                  &map,
                                                  signature);
                if (!*signature)
                        abort();
        }
        paste_deinit(&paste);
        return 0;
}
