/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Starting a [notify] program: whether it may be run, as whom, and with what. It gets the record as
 * standard input, one pipe for all it prints, a session of its own, and nothing else of ours.
 */
#include <sys/types.h>

#include "daemon/kernel/notify-config.h"
#include "daemon/kernel/notify-request.h"

/* The longest resolved path. */
#define NOTIFY_PATH_SIZE 4096

/*
 * `path` without links in ret, when the file and all folders above it are `owner`'s or root's, and
 * nobody else may write to them (but to a sticky folder, such as /tmp). -EPERM and another negative
 * errno, with *ret_error, words to be freed.
 */
int notify_program_check(const char *path,
                         uid_t owner,
                         char ret[static NOTIFY_PATH_SIZE],
                         char **ret_error);

/* 0, the process, which leads its group, and what it prints (non-blocking). As above when it can't be. */
int notify_program_start(const NotifyConfig *config,
                         const NotifyRequest *request,
                         pid_t *ret_pid,
                         int *ret_output,
                         char **ret_error);
