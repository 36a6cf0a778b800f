/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration is tocsind's to read: its own program is run, so that what is checked is what
 * will be read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/verbs.h"

#define VERB_PROGRAM "tocsind"

/* The tocsind beside this tocsinctl, whether both are installed or just built; *ret must be freed. */
static int verb_find_neighbour(char **ret) {
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n < 0)
                return -errno;
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
                return -ENOENT;
        return asprintf(ret, "%.*s/%s", (int) (slash - self), self, VERB_PROGRAM) < 0 ? -ENOMEM : 0;
}

int verb_config(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *neighbour = NULL;
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

        if (verb_find_neighbour(&neighbour) == 0)
                (void) execl(neighbour, VERB_PROGRAM, what, file ? "--config" : NULL, file, NULL);
        (void) execlp(VERB_PROGRAM, VERB_PROGRAM, what, file ? "--config" : NULL, file, NULL);
        perror("tocsinctl: " VERB_PROGRAM);
        return CTL_EXIT_FAILURE;
}
