/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program to be told of incidents. Whether it may be run is asked when it is: it can change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config-load.h"
#include "policy/util/name.h"

NotifyConfig *notify_configs_free(NotifyConfig *configs, size_t n) {
        for (size_t i = 0; configs && i < n; i++) {
                free(configs[i].name);
                free(configs[i].program);
                free(configs[i].user);
                free(configs[i].machine);
        }
        free(configs);
        return NULL;
}

static int config_add_notify(Config *config, NotifyConfig *notify) {
        NotifyConfig *notifies;

        notifies = reallocarray(config->notifies, config->n_notifies + 1, sizeof(*notifies));
        if (!notifies)
                return -ENOMEM;
        config->notifies = notifies;
        notifies[config->n_notifies++] = *notify;
        *notify = (NotifyConfig){};
        return 0;
}

static int config_build_notify_values(ConfigBuild *build,
                                      ConfigSection *section,
                                      const char *argument,
                                      NotifyConfig *notify) {
        void *const bases[_CONFIG_BASE_MAX] = { notify };
        int r;

        notify->name = strdup(argument);
        if (!notify->name)
                return -ENOMEM;
        if (!name_is_valid(argument)) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         (ConfigPlace){ section->file, section->line, false },
                                         "[%s]: expected a name of at most %d letters, digits, '_', "
                                         "'.', ':' and '-'",
                                         section->name,
                                         NAME_LENGTH_MAX);
        }
        r = config_build_values(build, &config_sections[CONFIG_SECTION_NOTIFY], section, bases);
        if (r == 0 && !notify->program && !config_section_is_rejected(section))
                r = config_build_reject(build, section, "program", "expected a program, found none");
        section->rejected |= config_section_is_rejected(section);
        if (r < 0 || section->rejected)
                return r;
        return config_add_notify(build->config, notify);
}

int config_build_notify(ConfigBuild *build, ConfigSection *section, const char *argument) {
        NotifyConfig *notify = calloc(1, sizeof(*notify));
        int r;

        if (!notify)
                return -ENOMEM;
        r = config_build_notify_values(build, section, argument, notify);
        notify_configs_free(notify, 1);
        return r;
}
