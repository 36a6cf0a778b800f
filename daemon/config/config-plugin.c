/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin's section, then its options, which only the plugin knows: those of a shared object are in
 * its descriptor, which is read without running any of it. What a program takes it says itself, when
 * it runs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config-load.h"
#include "plugins/sdk/descriptor.h"
#include "policy/qapi/json.h"
#include "policy/util/glob.h"
#include "policy/util/name.h"
#include "policy/util/nearest.h"

static const char config_options_word[] = " options";

PluginConfig *plugin_configs_free(PluginConfig *configs, size_t n) {
        for (size_t i = 0; configs && i < n; i++) {
                PluginConfig *config = &configs[i];

                free(config->name);
                free(config->origin);
                free(config->module);
                free(config->program);
                config_words_free(config->reads);
                config_words_free(config->writes);
                json_object_put(config->options);
                plugin_description_free(config->description);
        }
        free(configs);
        return NULL;
}

bool config_is_plugin_options(const char *argument) {
        size_t n = strlen(argument), tail = strlen(config_options_word);

        return n > tail && strcmp(argument + n - tail, config_options_word) == 0;
}

/* Of the file that module= or program= names. */
static int config_check_plugin_file(ConfigBuild *build, ConfigSection *section, PluginConfig *plugin) {
        _cleanup_free_ char *error = NULL;
        int r;

        if (!plugin->module == !plugin->program)
                return config_build_reject(build,
                                           section,
                                           plugin->module ? "program" : "module",
                                           "expected either module= or program=");
        if (plugin->program) {
                if (access(plugin->program, X_OK) == 0)
                        return 0;
                return config_build_reject(build,
                                           section,
                                           "program",
                                           "expected a program, found '%s': %s",
                                           plugin->program,
                                           strerror(errno));
        }
        r = descriptor_read_file(plugin->module, &plugin->description, &error);
        if (r <= 0)
                return r;
        return config_build_reject(
                build, section, "module", "expected a plugin, found '%s': %s", plugin->module, error);
}

static int config_add_plugin(Config *config, PluginConfig *plugin) {
        PluginConfig *plugins;

        plugins = reallocarray(config->plugins, config->n_plugins + 1, sizeof(*plugins));
        if (!plugins)
                return -ENOMEM;
        config->plugins = plugins;
        plugins[config->n_plugins++] = *plugin;
        *plugin = (PluginConfig){};
        return 0;
}

static int config_build_plugin_values(ConfigBuild *build,
                                      ConfigSection *section,
                                      const char *argument,
                                      PluginConfig *plugin) {
        void *const bases[_CONFIG_BASE_MAX] = { plugin };
        ConfigPlace place = { section->file, section->line, false };
        int r;

        plugin->origin = config_section_origin(section);
        plugin->name = strdup(argument);
        plugin->options = json_object_new_object();
        if (!plugin->origin || !plugin->name || !plugin->options)
                return -ENOMEM;
        if (!name_is_valid(argument)) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         place,
                                         "[%s]: expected a name of at most %d letters, digits, '_', "
                                         "'.', ':' and '-', or that and 'options'",
                                         section->name,
                                         NAME_LENGTH_MAX);
        }
        r = config_build_values(build, &config_sections[CONFIG_SECTION_PLUGIN], section, bases);
        /* a value that is wrong may be this one */
        if (r == 0 && !config_section_is_rejected(section))
                r = config_check_plugin_file(build, section, plugin);
        section->rejected |= config_section_is_rejected(section);
        if (r < 0 || section->rejected)
                return r;
        return config_add_plugin(build->config, plugin);
}

int config_build_plugin(ConfigBuild *build, ConfigSection *section, const char *argument) {
        PluginConfig *plugin;
        int r;

        if (config_is_plugin_options(argument))
                return 0; /* by config_build_plugins() */
        plugin = calloc(1, sizeof(*plugin));
        if (!plugin)
                return -ENOMEM;
        r = config_build_plugin_values(build, section, argument, plugin);
        plugin_configs_free(plugin, 1);
        return r;
}

static PluginConfig *config_find_plugin(Config *config, const char *name, size_t n) {
        for (size_t i = 0; i < config->n_plugins; i++)
                if (strlen(config->plugins[i].name) == n &&
                    strncmp(config->plugins[i].name, name, n) == 0)
                        return &config->plugins[i];
        return NULL;
}

static const PluginOption *config_find_option(const PluginDescription *d, const char *name) {
        for (size_t i = 0; i < d->n_options; i++)
                if (strcmp(d->options[i]->name, name) == 0)
                        return d->options[i];
        return NULL;
}

/* What is wrong with an option of a shared object, if anything. */
static int config_check_option(ConfigBuild *build,
                               ConfigSection *section,
                               ConfigValue *value,
                               const PluginDescription *d) {
        ConfigPlace place = { value->file, value->line, false };
        const PluginOption *option = config_find_option(d, value->key);
        uint64_t number, within_us;
        Nearest nearest;

        if (!option) {
                nearest_init(&nearest, value->key);
                for (size_t i = 0; i < d->n_options; i++)
                        nearest_offer(&nearest, d->options[i]->name);
                value->rejected = true;
                return config_errors_add(build->errors,
                                         place,
                                         "[%s] %s: the plugin has no such option%s%s%s",
                                         section->name,
                                         value->key,
                                         nearest_get(&nearest) ? "; did you mean '" : "",
                                         nearest_get(&nearest) ?: "",
                                         nearest_get(&nearest) ? "'?" : "");
        }
        if (option_parse(option->type, value->text, &number, &within_us) == 0)
                return 0;
        value->rejected = true;
        return config_errors_add(build->errors,
                                 place,
                                 "[%s] %s: expected %s, found '%.100s'",
                                 section->name,
                                 value->key,
                                 option_expect(option->type),
                                 value->text);
}

static int config_build_options(ConfigBuild *build, ConfigSection *section, const char *argument) {
        size_t n = strlen(argument) - strlen(config_options_word);
        PluginConfig *plugin = config_find_plugin(build->config, argument, n);
        int r = 0;

        if (!plugin) {
                section->rejected = true;
                return config_errors_add(build->errors,
                                         (ConfigPlace){ section->file, section->line, false },
                                         "[%s]: there is no [plugin %.*s], or it is not in effect",
                                         section->name,
                                         (int) n,
                                         argument);
        }
        for (size_t i = 0; r == 0 && i < section->n_values; i++) {
                ConfigValue *value = &section->values[i];
                json_object *text;

                if (plugin->description)
                        r = config_check_option(build, section, value, plugin->description);
                if (r < 0 || value->rejected)
                        continue;
                text = json_object_new_string(value->text);
                if (!text || json_object_object_add(plugin->options, value->key, text) < 0)
                        r = -ENOMEM;
        }
        return r;
}

static int config_check_chain(ConfigBuild *build, ConfigSection *section) {
        const ConfigValue *value = config_section_get(section, "plugins");
        _cleanup_(config_words_freep) char **words = NULL;
        int r;

        if (!value)
                return 0;
        r = config_words_split(value->text, &words);
        for (char **word = words; r == 0 && *word; word++)
                if (!config_find_plugin(build->config, *word, strlen(*word)))
                        r = config_errors_add(build->errors,
                                              (ConfigPlace){ value->file, value->line, false },
                                              "[%s] plugins: there is no [plugin %s], or it is not "
                                              "in effect",
                                              section->name,
                                              *word);
        return r == -ERANGE ? 0 : r;
}

int config_build_plugins(ConfigBuild *build, ConfigTree *tree) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < tree->n_sections; i++) {
                ConfigSection *section = &tree->sections[i];
                const char *argument;
                ConfigSectionId id = config_section_identify(section, &argument);

                if (id == CONFIG_SECTION_PLUGIN && config_is_plugin_options(argument))
                        r = config_build_options(build, section, argument);
                else if (id == CONFIG_SECTION_GUEST)
                        r = config_check_chain(build, section);
        }
        return r;
}
