/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an operator tells tocsind about one machine. */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/verbs.h"
#include "policy/util/duration.h"

int verb_hold(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *arguments;
        uint64_t us = 0;
        int r = ctl_parse_options(ctl, options, &argc, argv, 2, 2);

        if (r != CTL_EXIT_OK)
                return r;
        if (strcmp(argv[1], "off") != 0 &&
            (duration_parse(argv[1], &us) != 0 || us < USEC_PER_SEC || us == USEC_INFINITY))
                return ctl_fail_usage(ctl,
                                      "%s is no duration of at least a second, as 30min or 2h, nor off",
                                      argv[1]);

        arguments = json_object_new_object();
        if (ctl_add_string(arguments, "machine", argv[0]) < 0 ||
            ctl_add_uint(arguments, "seconds", us / USEC_PER_SEC) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        return ctl_command(ctl, "hold-machine", arguments);
}

int verb_reset_action(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *arguments;
        int r = ctl_parse_options(ctl, options, &argc, argv, 1, 2);

        if (r != CTL_EXIT_OK)
                return r;
        arguments = json_object_new_object();
        if (ctl_add_string(arguments, "machine", argv[0]) < 0 ||
            ctl_add_string(arguments, "key", argc > 1 ? argv[1] : NULL) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        return ctl_command(ctl, "reset-action", arguments);
}
