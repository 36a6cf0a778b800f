/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin's file as an administrator may name any. */
#include <stdlib.h>

#include "plugins/sdk/descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        PluginDescription *description = NULL;
        char *error = NULL;
        int r = descriptor_read(data, size, &description, &error);

        if ((r == 0) != (description != NULL) || (r > 0 && !error))
                abort();
        plugin_description_free(description);
        free(error);
        return 0;
}
