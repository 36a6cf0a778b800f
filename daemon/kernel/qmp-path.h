/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Which sockets tocsin may connect to, and how that is done by a process that may open everything.
 */
#include <stdbool.h>

/* Longest path and most components of one; beyond it nothing is looked at. */
#define QMP_PATH_COMPONENTS_MAX 64

/* Absolute, with no empty, `.` or `..` component, and no component too long to exist. Pure. */
bool qmp_path_is_normal(const char *path);
/* One component of a path against one of a pattern; a leading dot must be spelled out. Pure. */
bool qmp_path_component_matches(const char *pattern, const char *name);
/* A whole path against `[discover] qmp-glob=`, component by component: `*` never matches a `/`. Pure. */
bool qmp_path_matches(const char *glob, const char *path);

/*
 * Connects to the socket at `path`, which is normal and allowed. 0 and a non-blocking stream
 * socket, or a negative errno and *ret_error, words to be freed (NULL when out of memory):
 * -EPERM: the path leads elsewhere than it says; -EAGAIN: somebody else has this QEMU's one seat
 * and its queue is full; -ECONNREFUSED: nobody listens; -ENOENT, ...
 */
int qmp_path_connect(const char *path, int *ret_fd, char **ret_error);
