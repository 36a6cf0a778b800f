/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/evidence/flattened.h"

#include <endian.h>
#include <string.h>

/* Before each piece: offset and size. */
#define FLATTENED_PIECE_SIZE 16

static uint64_t flattened_get(const Flattened *f, size_t at) {
        uint64_t value;

        memcpy(&value, f->header + at, sizeof(value));
        return be64toh(value);
}

void flattened_init(Flattened *f, FlattenedWrite write, void *userdata) {
        *f = (Flattened){ .write = write, .userdata = userdata };
}

static int flattened_reject(Flattened *f, const char *problem) {
        f->problem = problem;
        return FLATTENED_E_INVALID;
}

static int flattened_begin(Flattened *f) {
        static const char signature[16] = "makedumpfile";

        if (memcmp(f->header, signature, sizeof(signature)) != 0)
                return flattened_reject(f, "it does not begin as a flattened dump");
        if (flattened_get(f, 16) != 1 || flattened_get(f, 24) != 1)
                return flattened_reject(f, "its type or version is not 1");
        f->begun = true;
        return 0;
}

static int flattened_begin_piece(Flattened *f) {
        uint64_t offset = flattened_get(f, 0), size = flattened_get(f, 8);

        if (offset == UINT64_MAX && size == UINT64_MAX) {
                f->ended = true;
                return 0;
        }
        /* a file can't be larger */
        if (offset > INT64_MAX || size > INT64_MAX - offset)
                return flattened_reject(f, "a piece lies beyond the end of any file");
        if (size == 0)
                return flattened_reject(f, "a piece is empty");
        f->offset = offset;
        f->left = size;
        return 0;
}

int flattened_feed(Flattened *f, const void *data, size_t n) {
        const unsigned char *from = data;
        size_t wanted, take;
        int r;

        while (n > 0) {
                if (f->ended)
                        return flattened_reject(f, "something follows its end");
                if (f->left > 0) {
                        take = n < f->left ? n : (size_t) f->left;
                        r = f->write(f->offset, from, take, f->userdata);
                        if (r != 0)
                                return r;
                        f->offset += take;
                        f->left -= take;
                } else {
                        wanted = (f->begun ? FLATTENED_PIECE_SIZE : FLATTENED_HEADER_SIZE) -
                                 f->n_header;
                        take = n < wanted ? n : wanted;
                        memcpy(f->header + f->n_header, from, take);
                        f->n_header += take;
                        if (take == wanted) {
                                f->n_header = 0;
                                r = f->begun ? flattened_begin_piece(f) : flattened_begin(f);
                                if (r != 0)
                                        return r;
                        }
                }
                from += take;
                n -= take;
        }
        return 0;
}
