/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/config/config-load.h"
#include "policy/util/glob.h"
#include "policy/util/name.h"

static void config_guest_deinit(ConfigGuest *guest) {
        free(guest->policy.glob);
        free(guest->policy.origin);
        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                free(guest->policy.actions.keys[key].origin);
        config_words_free(guest->policy.plugins);
        free(guest->policy.system_map);
        free(guest->qmp);
}

static int config_check_guest_name(ConfigBuild *build,
                                   ConfigSection *section,
                                   const ConfigGuest *guest) {
        ConfigPlace place = { section->file, section->line, false };

        if (!glob_is_valid(guest->policy.glob)) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         place,
                                         "[%s]: expected a name or a pattern of *, ? and [a-z]",
                                         section->name);
        }
        if (!glob_is_pattern(guest->policy.glob) && !name_is_valid(guest->policy.glob)) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         place,
                                         "[%s]: expected a name of at most %d characters, not '%s' "
                                         "and without a dot in front",
                                         section->name,
                                         NAME_LENGTH_MAX,
                                         NAME_HOST);
        }
        return 0;
}

static int config_check_guest_path(ConfigBuild *build,
                                   ConfigSection *section,
                                   const ConfigGuest *guest) {
        const char *manager;

        if (!guest->qmp)
                return 0;
        if (glob_is_pattern(guest->policy.glob))
                return config_build_reject(build,
                                           section,
                                           "qmp",
                                           "expected in the section of one guest, found in that of "
                                           "a pattern; [discover] has patterns of sockets");
        manager = config_socket_manager(guest->qmp);
        if (manager && !guest->exclusive)
                return config_build_reject(build,
                                           section,
                                           "qmp",
                                           "expected a monitor of our own or exclusive=yes, found "
                                           "'%s', where %s keeps its own",
                                           guest->qmp,
                                           manager);
        return 0;
}

/* Takes the guest's path. */
static int config_add_path(Config *config, ConfigGuest *guest) {
        size_t n = config->n_paths;
        MachinePath *paths;
        char **words;

        paths = reallocarray(config->paths, n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        config->paths = paths;
        words = reallocarray(config->path_words, 2 * n + 3, sizeof(*words));
        if (!words)
                return -ENOMEM;
        config->path_words = words;
        words[2 * n] = strdup(guest->policy.glob);
        words[2 * n + 1] = NULL;
        if (!words[2 * n])
                return -ENOMEM;
        words[2 * n + 1] = TAKE_PTR(guest->qmp);
        words[2 * n + 2] = NULL;
        paths[config->n_paths++] = (MachinePath){
                .name = words[2 * n],
                .path = words[2 * n + 1],
                .exclusive = guest->exclusive,
        };
        return 0;
}

static int config_add_guest(Config *config, ConfigGuest *guest) {
        Policy *policy = config->policy;
        GuestPolicy *guests;
        int r;

        r = guest->qmp ? config_add_path(config, guest) : 0;
        if (r < 0)
                return r;
        guests = reallocarray(policy->guests, policy->n_guests + 1, sizeof(*guests));
        if (!guests)
                return -ENOMEM;
        policy->guests = guests;
        guests[policy->n_guests++] = guest->policy;
        guest->policy = (GuestPolicy){};
        return 0;
}

int config_build_guest(ConfigBuild *build, ConfigSection *section, const char *argument) {
        _cleanup_(config_guest_deinit) ConfigGuest guest = {};
        void *const bases[_CONFIG_BASE_MAX] = { &guest };
        int r;

        guest.policy.origin = config_section_origin(section);
        if (!guest.policy.origin)
                return -ENOMEM;
        r = name_escape_glob(argument, &guest.policy.glob);
        if (r == 0)
                r = config_check_guest_name(build, section, &guest);
        if (r == 0)
                r = config_build_values(build, &config_sections[CONFIG_SECTION_GUEST], section, bases);
        if (r == 0)
                r = config_check_guest_path(build, section, &guest);
        section->rejected |= config_section_is_rejected(section);
        if (r < 0 || section->rejected)
                return r;
        return config_add_guest(build->config, &guest);
}
