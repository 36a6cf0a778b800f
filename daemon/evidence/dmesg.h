/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A guest's kernel log, out of a dump of its memory, by makedumpfile(8). For the program
 * tocsin-evidence.
 */
#include <stdbool.h>
#include <stdint.h>

/* The largest log buffer anybody configures (log_buf_len=) has 16 MiB. */
#define DMESG_BYTES_MAX (UINT64_C(16) << 20)
#define DMESG_PROBLEM_SIZE 300

/* 0 and the log, a file without a name; or negative, and words in `problem`. */
int dmesg_extract(const char *dump_path,
                  bool (*is_stopped)(void),
                  int *ret_fd,
                  char problem[static DMESG_PROBLEM_SIZE]);
