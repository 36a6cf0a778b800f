/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What a program that reads a guest's bytes gives up before the first of them: privileges, memory
 * beyond what it needs, files larger than it may write, and system calls it has no use for.
 */
#include <stdint.h>

/* Ends with its parent. 0 or a negative errno. */
int confine_process(uint64_t file_bytes);
/* Only what files and pipes need is left. 0 or a negative errno. */
int confine_syscalls(void);
