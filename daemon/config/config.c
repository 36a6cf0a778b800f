/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sections into a Config. Every error is reported, not the first alone; what that means is decided at
 * the end: nothing is loaded, or (lenient) what was rejected is not in the result. A [guest] or
 * [rule] section is rejected as a whole: half a rule may be far worse than none.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/config-load.h"
#include "policy/util/nearest.h"

/* As much of a value as is repeated in a message. */
#define CONFIG_FOUND_MAX 100

Config *config_free(Config *config) {
        if (!config)
                return NULL;
        free(config->runtime_dir);
        free(config->state_dir);
        free(config->command_group);
        free(config->monitor_group);
        free(config->paths);
        config_words_free(config->path_words);
        config_words_free(config->globs);
        config_words_free(config->attach_users);
        config_words_free(config->vmm_allow);
        plugin_configs_free(config->plugins, config->n_plugins);
        notify_configs_free(config->notifies, config->n_notifies);
        policy_free(config->policy);
        free(config);
        return NULL;
}

char *config_section_origin(const ConfigSection *section) {
        char *origin;

        return asprintf(&origin, "%s:%u", section->file, section->line) < 0 ? NULL : origin;
}

const ConfigValue *config_section_get(const ConfigSection *section, const char *key) {
        for (size_t i = section->n_values; i > 0; i--)
                if (!section->values[i - 1].rejected && strcmp(section->values[i - 1].key, key) == 0)
                        return &section->values[i - 1];
        return NULL;
}

bool config_section_is_rejected(const ConfigSection *section) {
        bool rejected = section->broken || section->rejected;

        for (size_t i = 0; i < section->n_values; i++)
                rejected |= section->values[i].rejected;
        return rejected;
}

const char *config_socket_manager(const char *path) {
        /* below /run, /var/lib, and in homes of users of a session daemon */
        if (strstr(path, "/libvirt/qemu/"))
                return "libvirt";
        if (strstr(path, "/run/qemu-server/"))
                return "Proxmox";
        return NULL;
}

int config_build_reject(ConfigBuild *build,
                        ConfigSection *section,
                        const char *key,
                        const char *format,
                        ...) {
        const ConfigValue *value = config_section_get(section, key);
        ConfigPlace place = { section->file, section->line, false };
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        section->rejected = true;
        if (value)
                place = (ConfigPlace){ value->file, value->line, false };
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return config_errors_add(build->errors, place, "[%s] %s: %s", section->name, key, text);
}

static int config_report_unknown_key(ConfigBuild *build,
                                     const ConfigSectionKeys *known,
                                     ConfigSection *section,
                                     ConfigValue *value) {
        ConfigPlace place = { value->file, value->line, true };
        Nearest nearest;

        nearest_init(&nearest, value->key);
        for (size_t i = 0; i < known->n_keys; i++)
                nearest_offer(&nearest, known->keys[i].name);
        value->unknown = true;
        if (nearest_get(&nearest))
                return config_errors_add(build->errors,
                                         place,
                                         "[%s] %s: unknown key; did you mean '%s'?",
                                         section->name,
                                         value->key,
                                         nearest_get(&nearest));
        return config_errors_add(
                build->errors, place, "[%s] %s: unknown key", section->name, value->key);
}

/* What may have been meant, as the end of a sentence. */
static int config_append_hint(const ConfigKey *key, const char *text, Buffer *hint) {
        const char *word;
        Nearest nearest;

        if (strstr(text, " #") || strstr(text, " ;"))
                return buffer_append_string(hint, "; a comment stands on a line of its own");
        if (key->type != &config_type_word)
                return 0;
        nearest_init(&nearest, text);
        for (unsigned i = 0; (word = key->word(key, i)); i++)
                nearest_offer(&nearest, word);
        if (!nearest_get(&nearest))
                return 0;
        return buffer_printf(hint, "; did you mean '%s'?", nearest_get(&nearest));
}

static int config_report_value(ConfigBuild *build,
                               const ConfigKey *key,
                               ConfigSection *section,
                               ConfigValue *value) {
        _cleanup_(buffer_deinit) Buffer expected = BUFFER_NULL, hint = BUFFER_NULL;
        int r;

        value->rejected = true;
        r = config_key_expect(key, &expected);
        if (r == 0)
                r = config_append_hint(key, value->text, &hint);
        if (r < 0)
                return r;
        return config_errors_add(build->errors,
                                 (ConfigPlace){ value->file, value->line, false },
                                 "[%s] %s: expected %.*s, found '%.*s'%.*s",
                                 section->name,
                                 key->name,
                                 (int) buffer_length(&expected),
                                 buffer_content(&expected),
                                 CONFIG_FOUND_MAX,
                                 value->text,
                                 (int) buffer_length(&hint),
                                 hint.data ? buffer_content(&hint) : "");
}

static int config_build_value(ConfigBuild *build,
                              const ConfigSectionKeys *known,
                              ConfigSection *section,
                              ConfigValue *value,
                              void *const bases[static _CONFIG_BASE_MAX]) {
        const ConfigKey *key = config_section_find(known, value->key);
        _cleanup_free_ char *origin = NULL;
        int r;

        if (!key)
                return config_report_unknown_key(build, known, section, value);
        if (asprintf(&origin, "%s:%u", value->file, value->line) < 0) {
                origin = NULL;
                return -ENOMEM;
        }
        r = config_key_set(key, value->text, origin, bases[key->base]);
        if (r == 0 || r == -ENOMEM)
                return r;
        return config_report_value(build, key, section, value);
}

int config_build_values(ConfigBuild *build,
                        const ConfigSectionKeys *known,
                        ConfigSection *section,
                        void *const bases[static _CONFIG_BASE_MAX]) {
        int r;

        for (size_t i = 0; i < known->n_keys; i++) {
                const ConfigKey *key = &known->keys[i];

                r = key->initial ? config_key_set(key, key->initial, "", bases[key->base]) : 0;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; section && i < section->n_values; i++) {
                r = config_build_value(build, known, section, &section->values[i], bases);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int config_report_unknown_section(ConfigBuild *build, ConfigSection *section) {
        ConfigPlace place = { section->file, section->line, true };
        _cleanup_free_ char *word = strndup(section->name, strcspn(section->name, " "));
        Nearest nearest;

        if (!word)
                return -ENOMEM;
        section->rejected = true;
        nearest_init(&nearest, word);
        for (size_t i = 0; i < _CONFIG_SECTION_MAX; i++)
                nearest_offer(&nearest, config_sections[i].name);
        if (nearest_get(&nearest))
                return config_errors_add(build->errors,
                                         place,
                                         "[%s]: unknown section; did you mean [%s]?",
                                         section->name,
                                         nearest_get(&nearest));
        return config_errors_add(build->errors, place, "[%s]: unknown section", section->name);
}

ConfigSectionId config_section_identify(const ConfigSection *section, const char **ret_argument) {
        size_t n = strcspn(section->name, " ");
        ConfigSectionId id;

        for (id = 0; id < _CONFIG_SECTION_MAX; id++)
                if (strlen(config_sections[id].name) == n &&
                    strncmp(config_sections[id].name, section->name, n) == 0)
                        break;
        *ret_argument = section->name + n + (section->name[n] == ' ');
        return id;
}

/* One section of the kinds there are many of; the others are read by config_build_single(). */
static int config_build_section(ConfigBuild *build, ConfigSection *section) {
        const char *argument;
        ConfigSectionId id = config_section_identify(section, &argument);
        bool wants_argument;

        if (id == _CONFIG_SECTION_MAX)
                return config_report_unknown_section(build, section);
        wants_argument = config_sections[id].argument;
        if (wants_argument != (argument[0] != '\0')) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         (ConfigPlace){ section->file, section->line, false },
                                         "expected [%s%s%s], found [%s]",
                                         config_sections[id].name,
                                         wants_argument ? " " : "",
                                         wants_argument ? config_sections[id].argument : "",
                                         section->name);
        }
        if (id == CONFIG_SECTION_GUEST)
                return config_build_guest(build, section, argument);
        if (id == CONFIG_SECTION_RULE)
                return config_build_rule(build, section, argument);
        if (id == CONFIG_SECTION_PLUGIN)
                return config_build_plugin(build, section, argument);
        if (id == CONFIG_SECTION_NOTIFY)
                return config_build_notify(build, section, argument);
        return 0;
}

static int config_build_single(ConfigBuild *build, ConfigTree *tree, ConfigSectionId id) {
        void *const bases[_CONFIG_BASE_MAX] = { build->config, build->config->policy };
        ConfigSection *section = NULL;

        for (size_t i = 0; i < tree->n_sections && !section; i++)
                if (strcmp(tree->sections[i].name, config_sections[id].name) == 0)
                        section = &tree->sections[i];
        return config_build_values(build, &config_sections[id], section, bases);
}

/* Sockets that are a manager's own are not for patterns. */
static int config_check_globs(ConfigBuild *build, ConfigTree *tree) {
        char **to = build->config->globs;
        int r = 0;

        for (char **from = to; *from; from++) {
                const char *manager = config_socket_manager(*from);

                if (!manager) {
                        *to++ = *from;
                        continue;
                }
                for (size_t i = 0; r == 0 && i < tree->n_sections; i++)
                        if (strcmp(tree->sections[i].name, "discover") == 0)
                                r = config_build_reject(build,
                                                        &tree->sections[i],
                                                        "qmp-glob",
                                                        "expected a monitor of our own, found '%s', "
                                                        "where %s keeps its own",
                                                        *from,
                                                        manager);
                free(*from);
        }
        *to = NULL;
        return r;
}

static int config_build_all(ConfigBuild *build, ConfigTree *tree) {
        int r = 0;

        for (ConfigSectionId id = 0; r == 0 && id < _CONFIG_SECTION_MAX; id++)
                if (!config_sections[id].argument)
                        r = config_build_single(build, tree, id);
        for (size_t i = 0; r == 0 && i < tree->n_sections; i++)
                r = config_build_section(build, &tree->sections[i]);
        if (r == 0)
                r = config_build_plugins(build, tree);
        if (r == 0)
                r = config_check_globs(build, tree);
        /* for people "never" is infinity; for timers it is that there is none */
        if (r == 0 && build->config->heartbeat_us == USEC_INFINITY)
                build->config->heartbeat_us = 0;
        return r;
}

int config_build(ConfigTree *tree, bool lenient, Config **ret, ConfigErrors *errors) {
        _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
        ConfigBuild build = { .config = config, .errors = errors };
        int r;

        if (!config)
                return -ENOMEM;
        config->policy = calloc(1, sizeof(*config->policy));
        if (!config->policy)
                return -ENOMEM;
        r = config_build_all(&build, tree);
        if (r < 0)
                return r;
        if (!lenient && config_errors_are_fatal(errors))
                return CONFIG_E_INVALID;
        *ret = TAKE_PTR(config);
        return 0;
}

int config_load(const char *file, bool lenient, Config **ret, ConfigErrors *errors) {
        _cleanup_(config_tree_deinit) ConfigTree tree = CONFIG_TREE_NULL;
        int r;

        r = config_path_load(&tree, "", file, errors);
        return r != 0 ? r : config_build(&tree, lenient, ret, errors);
}
