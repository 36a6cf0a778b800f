/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The two halves of config_load(), for those who stand between them. */
#include "daemon/config/config-keys.h"
#include "daemon/config/config-tree.h"

/* `file` alone, or (NULL) what the search path below `root` has; `root` is "" but in tests. Reports
 * what can't be read. 0, CONFIG_E_INVALID when `file` can't be read at all, or -ENOMEM. */
int config_path_load(ConfigTree *tree, const char *root, const char *file, ConfigErrors *errors);

/* Makes a configuration of a merged tree, and marks what it rejects there. As config_load(). */
int config_build(ConfigTree *tree, bool lenient, Config **ret, ConfigErrors *errors);

/* A section's own part of config_build(), by config-guest.c and config-rule.c. */
typedef struct ConfigBuild {
        Config *config;
        ConfigErrors *errors;
} ConfigBuild;

/* Which section it is, and what follows the name (""). _CONFIG_SECTION_MAX: none we know. */
ConfigSectionId config_section_identify(const ConfigSection *section, const char **ret_argument);
/* The value that is in effect, or NULL. */
const ConfigValue *config_section_get(const ConfigSection *section, const char *key);
/* Whether anything in it was rejected or could not be read. Unknown keys alone don't count. */
bool config_section_is_rejected(const ConfigSection *section);
/* "[section] key: TEXT" at the line of that key, or of the section when it is not there; the section
 * is rejected. 0 or -ENOMEM. */
int config_build_reject(ConfigBuild *build,
                        ConfigSection *section,
                        const char *key,
                        const char *format,
                        ...) _printf_(4, 5);
/* Sets the defaults in the section's structs, and then (section may be NULL) what it says. What is
 * wrong is reported and marked. 0 or -ENOMEM. */
int config_build_values(ConfigBuild *build,
                        const ConfigSectionKeys *known,
                        ConfigSection *section,
                        void *const bases[static _CONFIG_BASE_MAX]);
/* `argument` is what follows the section's name. Both add it to the policy unless it is rejected. */
int config_build_guest(ConfigBuild *build, ConfigSection *section, const char *argument);
int config_build_rule(ConfigBuild *build, ConfigSection *section, const char *argument);
/* The same for the configuration's plugins; then, when all are known, what names them: options and
 * plugins=. */
int config_build_plugin(ConfigBuild *build, ConfigSection *section, const char *argument);
int config_build_plugins(ConfigBuild *build, ConfigTree *tree);
int config_build_notify(ConfigBuild *build, ConfigSection *section, const char *argument);
/* Whether what follows "plugin" is "NAME options". */
bool config_is_plugin_options(const char *argument);
/* "FILE:LINE" of the section, or NULL when out of memory. */
char *config_section_origin(const ConfigSection *section);
/* Whose monitor sockets these are, and not to be taken: "libvirt", "Proxmox", or NULL. */
const char *config_socket_manager(const char *path);
