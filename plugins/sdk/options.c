/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "plugins/sdk/descriptor.h"
#include "policy/util/duration.h"
#include "policy/util/size.h"

static int option_parse_bool(const char *text, uint64_t *ret) {
        if (strcmp(text, "yes") == 0)
                *ret = 1;
        else if (strcmp(text, "no") == 0)
                *ret = 0;
        else
                return -EINVAL;
        return 0;
}

int option_parse(PluginOptionType type, const char *text, uint64_t *ret_number, uint64_t *ret_within_us) {
        uint64_t number = 0, within_us = 0;
        unsigned count;
        int r = -EINVAL;

        switch (type) {
        case PLUGIN_OPTION_TYPE_TEXT:
                r = 0;
                break;
        case PLUGIN_OPTION_TYPE_BOOL:
                r = option_parse_bool(text, &number);
                break;
        case PLUGIN_OPTION_TYPE_COUNT:
                r = size_parse_number(text, &number);
                break;
        case PLUGIN_OPTION_TYPE_TIME:
                r = duration_parse(text, &number);
                break;
        case PLUGIN_OPTION_TYPE_LIMIT:
                r = duration_parse_limit(text, &count, &within_us);
                number = r == 0 ? count : 0;
                break;
        case _PLUGIN_OPTION_TYPE_MAX:
                break;
        }
        if (r < 0)
                return -EINVAL;
        *ret_number = number;
        *ret_within_us = within_us;
        return 0;
}

const char *option_expect(PluginOptionType type) {
        static const char *const words[_PLUGIN_OPTION_TYPE_MAX] = {
                [PLUGIN_OPTION_TYPE_TEXT] = "a text",
                [PLUGIN_OPTION_TYPE_BOOL] = "yes or no",
                [PLUGIN_OPTION_TYPE_COUNT] = "a number",
                [PLUGIN_OPTION_TYPE_TIME] = "a time such as 10min",
                [PLUGIN_OPTION_TYPE_LIMIT] = "so many within a time, such as 3/10min",
        };

        return words[type];
}
