/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "daemon/ctl/text.h"

/* The lines that make the guest `name` call the attach.sock beside `control_socket`. */
void attach_add_lines(Text *text, const char *name, const char *control_socket);
