/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration in effect, printed so that tocsind could read it again: each key below a comment
 * that says where its value is from.
 */
#include <errno.h>
#include <string.h>

#include "daemon/config/config-load.h"

static void config_show_value(const ConfigKey *key, const ConfigValue *value, FILE *out) {
        if (value)
                (void) fprintf(out, "# %s:%u\n%s=%s\n", value->file, value->line, key->name, value->text);
        else
                (void) fprintf(out, "# default\n%s=%s\n", key->name, key->initial);
}

/* Keys that no table knows. */
static void config_show_options(const ConfigSection *section, FILE *out) {
        (void) fprintf(out, "[%s]\n", section->name);
        for (size_t i = 0; i < section->n_values; i++) {
                const ConfigValue *value = &section->values[i];

                if (value == config_section_get(section, value->key))
                        (void) fprintf(out,
                                       "# %s:%u\n%s=%s\n",
                                       value->file,
                                       value->line,
                                       value->key,
                                       value->text);
        }
        (void) fputc('\n', out);
}

/* All keys of a section there is one of; of the others those that are set. */
static void config_show_section(const ConfigSectionKeys *known,
                                const char *name,
                                const ConfigSection *section,
                                FILE *out) {
        (void) fprintf(out, "[%s]\n", name);
        for (size_t i = 0; i < known->n_keys; i++) {
                const ConfigKey *key = &known->keys[i];
                const ConfigValue *value = section ? config_section_get(section, key->name) : NULL;

                if (value || (key->initial && !known->argument))
                        config_show_value(key, value, out);
        }
        (void) fputc('\n', out);
}

static void config_show_tree(const ConfigTree *tree, FILE *out) {
        for (size_t i = 0; i < tree->n_files; i++)
                (void) fprintf(out, "# read: %s\n", tree->files[i]);
        (void) fputs(tree->n_files > 0 ? "\n" : "# no file was found: these are the defaults\n\n",
                     out);

        for (ConfigSectionId id = 0; id < _CONFIG_SECTION_MAX; id++) {
                const ConfigSectionKeys *known = &config_sections[id];
                const ConfigSection *single = NULL;

                for (size_t i = 0; i < tree->n_sections; i++) {
                        const ConfigSection *section = &tree->sections[i];
                        const char *argument;

                        if (config_section_identify(section, &argument) != id)
                                continue;
                        if (!known->argument && argument[0] == '\0')
                                single = section;
                        else if (id == CONFIG_SECTION_PLUGIN &&
                                 config_is_plugin_options(argument) && !section->rejected)
                                config_show_options(section, out);
                        else if (known->argument && !section->rejected)
                                config_show_section(known, section->name, section, out);
                }
                if (!known->argument)
                        config_show_section(known, known->name, single, out);
        }
}

int config_show(const char *file, FILE *out) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        _cleanup_(config_tree_deinit) ConfigTree tree = CONFIG_TREE_NULL;
        _cleanup_(config_freep) Config *config = NULL;
        int r;

        r = config_path_load(&tree, "", file, &errors);
        if (r == 0)
                r = config_build(&tree, true, &config, &errors);
        for (size_t i = 0; i < errors.n_items; i++)
                (void) fprintf(out, "# not in effect: %s\n", errors.items[i].text);
        if (r != 0)
                return r;
        config_show_tree(&tree, out);
        return ferror(out) ? -EIO : 0;
}
