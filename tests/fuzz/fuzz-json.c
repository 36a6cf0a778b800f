/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stream of messages. The first byte says into what pieces the rest is cut: what comes out must
 * not depend on that. What was read and written must read as the same again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/qapi/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(bool good) {
        if (!good)
                abort();
}

/* Reads `text` and writes it. */
static void fuzz_copy(const Buffer *text, Buffer *out) {
        json_object *value = NULL;

        fuzz_check(json_parse(buffer_content(text), buffer_length(text), &value, NULL) == 0);
        fuzz_check(json_write(out, value, JSON_STYLE_QMP) == 0);
        json_object_put(value);
}

static bool fuzz_is_equal(const Buffer *a, const Buffer *b) {
        return buffer_length(a) == buffer_length(b) &&
               (buffer_length(a) == 0 ||
                memcmp(buffer_content(a), buffer_content(b), buffer_length(a)) == 0);
}

static int fuzz_message(json_object *value, const char *error, void *userdata) {
        Buffer *out = userdata, first = BUFFER_NULL, second = BUFFER_NULL, third = BUFFER_NULL;

        if (error) {
                fuzz_check(buffer_printf(out, "!%s\n", error) == 0);
                return 0;
        }

        fuzz_check(json_write(&first, value, JSON_STYLE_QMP) == 0);
        fuzz_check(buffer_append(out, buffer_content(&first), buffer_length(&first)) == 0);
        fuzz_check(buffer_append_char(out, '\n') == 0);
        /* Numbers beyond a double are written as QEMU does, which is no JSON. The first copy may
         * differ: -0.0 is written as -0, which is an integer. */
        if (!memmem(buffer_content(&first), buffer_length(&first), "inf", 3)) {
                fuzz_copy(&first, &second);
                fuzz_copy(&second, &third);
                fuzz_check(fuzz_is_equal(&second, &third));
        }

        buffer_deinit(&first);
        buffer_deinit(&second);
        buffer_deinit(&third);
        return 0;
}

static void fuzz_read(const char *data, size_t size, size_t piece, Buffer *out) {
        static const JsonLimits limits = { .bytes = 300, .tokens = 60, .depth = 20 };
        JsonStream *s;
        size_t idle;

        fuzz_check(json_stream_new(&s, &limits, fuzz_message, out) == 0);
        idle = json_stream_memory(s);
        for (size_t i = 0; i < size; i += piece) {
                size_t n = size - i < piece ? size - i : piece, used;
                char *copy = malloc(n);

                memcpy(copy, data + i, n);
                fuzz_check(json_stream_feed(s, copy, n, &used) == 0);
                fuzz_check(used == n);
                fuzz_check(json_stream_is_inside(s) || json_stream_memory(s) == idle);
                free(copy);
        }
        json_stream_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Buffer whole = BUFFER_NULL, pieces = BUFFER_NULL;

        if (size < 2)
                return 0;

        fuzz_read((const char *) data + 1, size - 1, size, &whole);
        fuzz_read((const char *) data + 1, size - 1, data[0] % 16U + 1, &pieces);
        fuzz_check(fuzz_is_equal(&whole, &pieces));

        buffer_deinit(&whole);
        buffer_deinit(&pieces);
        return 0;
}
