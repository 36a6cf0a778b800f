/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/config/config-tree.h"

static int config_errors_append(ConfigErrors *errors, char *text, bool warning) {
        ConfigError *items;

        items = reallocarray(errors->items, errors->n_items + 1, sizeof(*items));
        if (!items) {
                free(text);
                return -ENOMEM;
        }
        errors->items = items;
        items[errors->n_items++] = (ConfigError){ .text = text, .warning = warning };
        return 0;
}

int config_errors_add(ConfigErrors *errors, ConfigPlace place, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char *whole;
        va_list ap;
        int n;

        if (errors->n_items > CONFIG_ERRORS_MAX)
                return 0;
        if (errors->n_items == CONFIG_ERRORS_MAX) {
                n = asprintf(&whole, "%s: too many errors, the others are not shown", place.file);
                return n < 0 ? -ENOMEM : config_errors_append(errors, whole, false);
        }

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (place.line > 0)
                n = asprintf(&whole, "%s:%u: %s", place.file, place.line, text);
        else
                n = asprintf(&whole, "%s: %s", place.file, text);
        return n < 0 ? -ENOMEM : config_errors_append(errors, whole, place.warning);
}

bool config_errors_are_fatal(const ConfigErrors *errors) {
        for (size_t i = 0; i < errors->n_items; i++)
                if (!errors->items[i].warning)
                        return true;
        return false;
}

void config_errors_deinit(ConfigErrors *errors) {
        for (size_t i = 0; i < errors->n_items; i++)
                free(errors->items[i].text);
        free(errors->items);
        *errors = (ConfigErrors){};
}
