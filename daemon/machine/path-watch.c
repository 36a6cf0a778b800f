/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pattern is split into its components. A folder is watched where its next component is looked
 * for: every folder a wildcard ranges over, and otherwise only the deepest one that exists (nobody
 * wants to wake for every file in /run because of /run/vm/a.qmp).
 *
 * The one difficulty is what happens between looking and watching; so a folder is watched first and
 * read afterwards, and whenever a folder goes away or events were lost all is looked at again.
 */
#include "daemon/machine/path-watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/qmp-path.h"
#include "policy/util/glob.h"
#include "policy/util/list.h"

typedef struct WatchedFolder {
        PathWatch *watch;
        List folders;
        sd_event_source *source;
        size_t level; /* of the component looked for in it */
        char path[];
} WatchedFolder;

struct PathWatch {
        sd_event *event;
        const PathWatchOps *ops;
        void *userdata;
        char *pattern;
        bool literal;
        char **components;
        size_t n_components;
        List folders;
        size_t n_folders;
        sd_event_source *look; /* looks at everything from the root again */
        bool troubled;
};

static void path_watch_expand(PathWatch *watch, const char *folder, size_t level);

static WatchedFolder *watched_folder_free(WatchedFolder *folder) {
        if (!folder)
                return NULL;
        list_remove(&folder->folders);
        folder->watch->n_folders--;
        sd_event_source_disable_unref(folder->source);
        free(folder);
        return NULL;
}

static void path_watch_clear(PathWatch *watch) {
        list_foreach_safe(i, next, &watch->folders)
                watched_folder_free(list_entry(i, WatchedFolder, folders));
}

static void path_watch_trouble(PathWatch *watch, const char *folder, const char *why) {
        _cleanup_free_ char *text = NULL;

        watch->troubled = true;
        if (asprintf(&text, "%s can't be watched: %s", folder, why) < 0)
                text = NULL;
        watch->ops->problem(watch->pattern, text ? text : why, watch->userdata);
}

static bool path_watch_matches(const PathWatch *watch, size_t level, const char *name) {
        const char *component = watch->components[level];

        return watch->literal ? strcmp(component, name) == 0
                              : qmp_path_component_matches(component, name);
}

static bool path_watch_is_wild(const PathWatch *watch, size_t level) {
        return !watch->literal && glob_is_pattern(watch->components[level]);
}

/* Something of that name may be there now. */
static void path_watch_meet(PathWatch *watch, const char *folder, size_t level, const char *name) {
        char path[PATH_MAX];
        struct stat st;
        int n;

        n = snprintf(path, sizeof(path), "%s/%s", folder, name);
        if (n < 0 || (size_t) n >= sizeof(path))
                return;
        if (level + 1 < watch->n_components) {
                if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                        path_watch_expand(watch, path, level + 1);
        } else if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                watch->ops->found(path, watch->userdata);
}

static int path_watch_dispatch(sd_event_source *source,
                               const struct inotify_event *event,
                               void *userdata) {
        WatchedFolder *folder = userdata;
        PathWatch *watch = folder->watch;

        if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
                (void) sd_event_source_set_enabled(watch->look, SD_EVENT_ONESHOT);
                return 0;
        }
        if (event->len == 0 || !path_watch_matches(watch, folder->level, event->name))
                return 0;
        /* A folder above the last component that was only waited for: a look from the root drops
         * this watch, and finds it again should it have been in vain. */
        if (folder->level + 1 < watch->n_components)
                (void) sd_event_source_set_enabled(watch->look, SD_EVENT_ONESHOT);
        else
                path_watch_meet(watch, folder->path, folder->level, event->name);
        return 0;
}

/* 0, or a negative errno; an error has been reported. */
static int path_watch_add_folder(PathWatch *watch, const char *path, size_t level) {
        size_t size = strlen(path) + 1;
        WatchedFolder *folder;
        int r;

        if (watch->n_folders >= PATH_WATCH_FOLDERS_MAX) {
                path_watch_trouble(watch, path, "the pattern ranges over too many folders");
                return -E2BIG;
        }
        folder = calloc(1, sizeof(*folder) + size);
        if (!folder)
                return -ENOMEM;
        folder->watch = watch;
        folder->level = level;
        memcpy(folder->path, path, size);
        list_append(&watch->folders, &folder->folders);
        watch->n_folders++;
        r = sd_event_add_inotify(watch->event,
                                 &folder->source,
                                 *path ? path : "/",
                                 IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                                 path_watch_dispatch,
                                 folder);
        if (r < 0) {
                watched_folder_free(folder);
                path_watch_trouble(watch, *path ? path : "/", strerror(-r));
                return r;
        }
        return 0;
}

static void path_watch_read_folder(PathWatch *watch, const char *path, size_t level) {
        DIR *directory;

        directory = opendir(*path ? path : "/");
        if (!directory) {
                path_watch_trouble(watch, *path ? path : "/", strerror(errno));
                return;
        }
        for (struct dirent *entry; (entry = readdir(directory));) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (path_watch_matches(watch, level, entry->d_name))
                        path_watch_meet(watch, path, level, entry->d_name);
        }
        (void) closedir(directory);
}

/* `folder` exists; "" is the root. */
static void path_watch_expand(PathWatch *watch, const char *folder, size_t level) {
        bool last = level + 1 == watch->n_components;
        char path[PATH_MAX];
        struct stat st;
        int n;

        if (path_watch_is_wild(watch, level)) {
                if (path_watch_add_folder(watch, folder, level) == 0)
                        path_watch_read_folder(watch, folder, level);
                return;
        }
        n = snprintf(path, sizeof(path), "%s/%s", folder, watch->components[level]);
        if (n < 0 || (size_t) n >= sizeof(path))
                return;
        errno = 0;
        if (!last && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
                path_watch_expand(watch, path, level + 1);
                return;
        }
        if (!last && errno == EACCES) {
                path_watch_trouble(watch, path, strerror(EACCES));
                return;
        }
        if (path_watch_add_folder(watch, folder, level) == 0)
                path_watch_meet(watch, folder, level, watch->components[level]);
}

static int path_watch_dispatch_look(sd_event_source *source, void *userdata) {
        PathWatch *watch = userdata;
        bool was_troubled = watch->troubled;

        path_watch_clear(watch);
        watch->troubled = false;
        path_watch_expand(watch, "", 0);
        if (was_troubled && !watch->troubled)
                watch->ops->problem(watch->pattern, NULL, watch->userdata);
        return 0;
}

static int path_watch_split(PathWatch *watch) {
        size_t n = 0;

        for (const char *p = watch->pattern; *p; p++)
                n += *p == '/';
        watch->components = calloc(n, sizeof(char *));
        if (!watch->components)
                return -ENOMEM;
        for (const char *p = watch->pattern; *p;) {
                size_t length = strcspn(++p, "/");

                watch->components[watch->n_components] = strndup(p, length);
                if (!watch->components[watch->n_components])
                        return -ENOMEM;
                watch->n_components++;
                p += length;
        }
        return 0;
}

int path_watch_new(PathWatch **ret,
                   sd_event *event,
                   const char *pattern,
                   bool literal,
                   const PathWatchOps *ops,
                   void *userdata) {
        _cleanup_(path_watch_freep) PathWatch *watch = NULL;
        int r;

        if (!qmp_path_is_normal(pattern))
                return -EINVAL;
        watch = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        watch->event = sd_event_ref(event);
        watch->ops = ops;
        watch->userdata = userdata;
        watch->literal = literal;
        list_init(&watch->folders);
        watch->pattern = strdup(pattern);
        if (!watch->pattern)
                return -ENOMEM;
        r = path_watch_split(watch);
        if (r < 0)
                return r;
        /* oneshot by its nature: it looks once the loop runs */
        r = sd_event_add_defer(event, &watch->look, path_watch_dispatch_look, watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

PathWatch *path_watch_free(PathWatch *watch) {
        if (!watch)
                return NULL;
        path_watch_clear(watch);
        sd_event_source_disable_unref(watch->look);
        for (size_t i = 0; i < watch->n_components; i++)
                free(watch->components[i]);
        free(watch->components);
        free(watch->pattern);
        sd_event_unref(watch->event);
        free(watch);
        return NULL;
}

const char *path_watch_get_pattern(const PathWatch *watch) {
        return watch->pattern;
}

bool path_watch_is_blind(const PathWatch *watch) {
        return watch->troubled;
}

bool path_watch_is_literal(const PathWatch *watch) {
        return watch->literal;
}
