/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What machines.c needs of a way to reach a machine, whichever protocol it speaks: a backend is one
 * constant table. `link` is the backend's own: a QmpClient here.
 */
#include "daemon/machine/machines.h"

typedef struct Backend {
        BackendType type;
        /* 0: done() will be called, from the loop. Negative: it won't. `abilities` are those the run
         * was found to have. */
        int (*command)(void *link, unsigned abilities, const BackendCall *call);
} Backend;

extern const Backend qmp_backend;
