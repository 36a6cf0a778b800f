/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration is tocsind's to read: its own program is run, so that what is checked is what
 * will be read.
 */
#include <string.h>

#include "daemon/ctl/tocsind.h"
#include "daemon/ctl/verbs.h"

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
        (void) tocsind_exec(what, file);
        return CTL_EXIT_FAILURE;
}
