/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A tar archive of plain files, as POSIX ustar, with GNU's form of a size that is too large for it. They
 * belong to root in there, and are for their owner alone.
 */
#include <stddef.h>
#include <stdint.h>

/* Room in a ustar header. */
#define TAR_NAME_MAX 99

typedef struct TarMember {
        const char *name; /* at most TAR_NAME_MAX bytes */
        uint64_t size;
        uint64_t time_s;
} TarMember;

/* All return 0 or a negative errno of writing to `fd`. */
int tar_add(int fd, const TarMember *member, const void *content);
/* Copies member->size bytes of a file; -ENODATA when it has become shorter. */
int tar_add_file(int fd, const TarMember *member, int file_fd);
int tar_end(int fd);
