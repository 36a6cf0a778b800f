/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a configuration file: through our reader, libini_config and the loader. */
#include <stdlib.h>

#include "daemon/config/config-load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        _cleanup_(config_tree_deinit) ConfigTree tree = CONFIG_TREE_NULL;
        _cleanup_(config_freep) Config *config = NULL;

        if (config_tree_add_text(&tree, "f", (const char *) data, size, &errors) < 0 ||
            config_tree_merge(&tree) < 0)
                return 0;
        /* a lenient start always starts */
        if (config_build(&tree, true, &config, &errors) == 0 && !config)
                abort();
        for (size_t i = 0; i < errors.n_items; i++)
                if (!errors.items[i].text)
                        abort();
        return 0;
}
