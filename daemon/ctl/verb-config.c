/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration is tocsind's to read: its own program is run, so that what is checked is what
 * will be read.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/verbs.h"

#define VERB_PROGRAM "tocsind"

/* From the folder of this tocsinctl: where both are installed, and where both are built. */
static const char *const verb_places[] = { "../sbin/" VERB_PROGRAM, "../" VERB_PROGRAM };

/* Returns when there is none, else never. */
static void verb_exec_neighbour(const char *what, const char *file) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n < 0)
                return;
        self[n] = '\0';
        slash = strrchr(self, '/');
        for (size_t i = 0; slash && i < ELEMENTSOF(verb_places); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%.*s/%s", (int) (slash - self), self, verb_places[i]) < 0)
                        return;
                (void) execl(path, VERB_PROGRAM, what, file ? "--config" : NULL, file, NULL);
        }
}

int verb_config(Ctl *ctl, int argc, char **argv) {
        const char *file = NULL, *what;
        const Option options[] = { { "config", 0, &file, NULL }, {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 1, 1);

        if (r != CTL_EXIT_OK)
                return r;
        if (strcmp(argv[0], "check") == 0)
                what = "--check";
        else if (strcmp(argv[0], "show") == 0)
                what = "--show-config";
        else
                return ctl_fail_usage(ctl, "%s is neither check nor show", argv[0]);

        verb_exec_neighbour(what, file);
        (void) execlp(VERB_PROGRAM, VERB_PROGRAM, what, file ? "--config" : NULL, file, NULL);
        perror("tocsinctl: " VERB_PROGRAM);
        return CTL_EXIT_FAILURE;
}
