/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Files and pipes, read as a whole. */
#include <stdbool.h>
#include <stddef.h>

#include "policy/util/buffer.h"

/* A System.map of a kernel with everything built in has some 15 MiB. */
#define INPUT_MAP_MAX (64 << 20)

/* Up to its end. 0 or a negative errno; -ENOBUFS: it is longer than `limit`. */
int input_read(int fd, size_t limit, Buffer *ret);
/* The same of a file; what is none (a FIFO, a device) is refused with -EINVAL. */
int input_read_file(const char *path, size_t limit, Buffer *ret);
const char *input_say(int r);
