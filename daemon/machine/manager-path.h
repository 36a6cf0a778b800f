/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose monitor socket that is, or NULL: nobody's we know of. A monitor serves one client; a second
 * one waits in its queue, or shuts the manager out. Pure. */
const char *manager_path_find(const char *path);
