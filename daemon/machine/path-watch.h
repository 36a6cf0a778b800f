/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Sockets that appear: paths and globs, watched with inotify so that nothing is polled. Folders on
 * the way may come and go too.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "policy/util/cleanup.h"

/* Folders watched by one pattern; a glob over more than that is cut, and says so. */
#define PATH_WATCH_FOLDERS_MAX 4096

typedef struct PathWatch PathWatch;

typedef struct PathWatchOps {
        /* A socket is there: at the first look, and whenever it is made anew. May come twice. */
        void (*found)(const char *path, void *userdata);
        /* A folder can't be watched (text), or all can again (NULL). `pattern` names the subject. */
        void (*problem)(const char *pattern, const char *text, void *userdata);
} PathWatchOps;

/* `literal`: the pattern is one path, whatever is in it. It is looked at once the loop runs. The
 * callbacks may not free the watch. -EINVAL when it is not normal (qmp_path_is_normal()). */
int path_watch_new(PathWatch **ret,
                   sd_event *event,
                   const char *pattern,
                   bool literal,
                   const PathWatchOps *ops,
                   void *userdata);
PathWatch *path_watch_free(PathWatch *watch);
DEFINE_CLEANUP(PathWatch *, path_watch_free);
const char *path_watch_get_pattern(const PathWatch *watch);
/* Some folder can't be watched; what appears there is not told. */
bool path_watch_is_blind(const PathWatch *watch);
bool path_watch_is_literal(const PathWatch *watch);
