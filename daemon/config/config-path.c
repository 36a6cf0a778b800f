/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search path, lowest first: the distribution's tocsin.conf, the administrator's, and the
 * tocsin.conf.d/ of both as one folder, in the order of names. As with systemd's drop-ins, one of the
 * administrator's hides the distribution's of the same name, and an empty one or /dev/null does
 * nothing but that. /run is no part of it: what lies there belongs to the daemon.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config-load.h"
#include "policy/util/config-key.h"
#include "tocsin-version.h"

#define CONFIG_FILES_MAX 256

/* Lowest first. */
static const char *const config_directories[] = { TOCSIN_DATADIR, TOCSIN_SYSCONFDIR };

typedef struct ConfigDropIn {
        char *name;
        char *path;
} ConfigDropIn;

typedef struct ConfigDropIns {
        ConfigDropIn items[CONFIG_FILES_MAX];
        size_t n_items;
} ConfigDropIns;

static void config_drop_ins_freep(ConfigDropIns **drop_ins) {
        for (size_t i = 0; *drop_ins && i < (*drop_ins)->n_items; i++) {
                free((*drop_ins)->items[i].name);
                free((*drop_ins)->items[i].path);
        }
        free(*drop_ins);
}

static int config_drop_in_compare(const void *a, const void *b) {
        const ConfigDropIn *left = a, *right = b;

        return strcmp(left->name, right->name);
}

/* Takes the path. */
static int config_drop_in_add(ConfigDropIns *drop_ins,
                              const char *name,
                              char *path,
                              ConfigErrors *errors) {
        ConfigDropIn *item = drop_ins->items;

        while (item < drop_ins->items + drop_ins->n_items && strcmp(item->name, name) != 0)
                item++;
        if (item < drop_ins->items + drop_ins->n_items) {
                free(item->path);
                item->path = path;
                return 0;
        }
        if (drop_ins->n_items == CONFIG_FILES_MAX) {
                int r = config_errors_add(errors,
                                          (ConfigPlace){ .file = path },
                                          "is left out: there are more than %d files",
                                          CONFIG_FILES_MAX);

                free(path);
                return r;
        }
        *item = (ConfigDropIn){ .name = strdup(name), .path = path };
        drop_ins->n_items++;
        return item->name ? 0 : -ENOMEM;
}

static int config_drop_ins_read(ConfigDropIns *drop_ins, const char *folder, ConfigErrors *errors) {
        struct dirent *entry;
        DIR *dir = opendir(folder);
        int r = 0;

        if (!dir) {
                if (errno == ENOENT)
                        return 0;
                return config_errors_add(errors,
                                         (ConfigPlace){ .file = folder },
                                         "can't be read: %s",
                                         strerror(errno));
        }
        while (r == 0 && (entry = readdir(dir))) {
                size_t n = strlen(entry->d_name);
                char *path;

                if (entry->d_name[0] == '.' || n <= strlen(".conf") ||
                    strcmp(entry->d_name + n - strlen(".conf"), ".conf") != 0)
                        continue;
                if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
                        r = -ENOMEM;
                else
                        r = config_drop_in_add(drop_ins, entry->d_name, path, errors);
        }
        (void) closedir(dir);
        return r;
}

/* Never fails as a whole: what can't be read is reported, and the rest counts. */
static int config_path_add(ConfigTree *tree, const char *path, ConfigErrors *errors) {
        int r;

        r = config_tree_add_file(tree, path, errors);
        return r == CONFIG_E_INVALID ? 0 : r;
}

static int config_path_load_all(ConfigTree *tree, const char *root, ConfigErrors *errors) {
        _cleanup_(config_drop_ins_freep) ConfigDropIns *drop_ins = calloc(1, sizeof(*drop_ins));
        int r = 0;

        if (!drop_ins)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(config_directories); i++) {
                _cleanup_free_ char *file = NULL, *folder = NULL;

                if (asprintf(&file, "%s%s/tocsin.conf", root, config_directories[i]) < 0 ||
                    asprintf(&folder, "%s.d", file) < 0)
                        return -ENOMEM;
                if (access(file, F_OK) == 0 || errno != ENOENT)
                        r = config_path_add(tree, file, errors);
                if (r == 0)
                        r = config_drop_ins_read(drop_ins, folder, errors);
        }
        qsort(drop_ins->items, drop_ins->n_items, sizeof(*drop_ins->items), config_drop_in_compare);
        for (size_t i = 0; r == 0 && i < drop_ins->n_items; i++)
                r = config_path_add(tree, drop_ins->items[i].path, errors);
        return r;
}

int config_path_load(ConfigTree *tree, const char *root, const char *file, ConfigErrors *errors) {
        int r;

        if (file)
                r = config_tree_add_file(tree, file, errors);
        else
                r = config_path_load_all(tree, root, errors);
        return r != 0 ? r : config_tree_merge(tree);
}
