/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The flattened form of a kdump, as it comes through a pipe, where QEMU can't go back to fill in what
 * it wrote before: a header of 4096 bytes ("makedumpfile", then type and version, both 1), and
 * then pieces, each with its offset in the file and its size before it, up to one where both are -1.
 * All numbers are 64 bits, big-endian. `makedumpfile -R` restores it as this does. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The header is padded to this size. */
#define FLATTENED_HEADER_SIZE 4096

/* The stream is no flattened dump: `problem` says why. */
#define FLATTENED_E_INVALID 1

/* A part of a piece: n bytes at this offset of the file. What is not 0 ends flattened_feed(), which
 * returns it. */
typedef int (*FlattenedWrite)(uint64_t offset, const void *data, size_t n, void *userdata);

typedef struct Flattened {
        FlattenedWrite write;
        void *userdata;
        const char *problem;
        bool begun; /* the header has been read */
        bool ended; /* so has the end: nothing may follow */
        uint64_t offset, left;
        size_t n_header;
        unsigned char header[FLATTENED_HEADER_SIZE];
} Flattened;

void flattened_init(Flattened *f, FlattenedWrite write, void *userdata);
/* Takes the next bytes of the stream. 0, FLATTENED_E_INVALID, or what write() returned. */
int flattened_feed(Flattened *f, const void *data, size_t n);
