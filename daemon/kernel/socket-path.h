/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Binds a Unix socket to a path of any length. 0 or a negative errno. */
int socket_path_bind(int fd, const char *path);
