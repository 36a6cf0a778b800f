/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Messages of the proc connector (linux/cn_proc.h). Pure, and fuzzed. */
#include <stddef.h>
#include <sys/types.h>

/* `died` 0: it tells of something else than the end of a process. `status` as of wait(2). 0 or -EBADMSG. */
int proc_event_parse(const void *data, size_t n, pid_t *ret_died, int *ret_status);
