/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The lines of one section, through libini_config. */
#include "daemon/config/config-tree.h"
#include "policy/util/buffer.h"

/* Errors of one section after which the rest of it is not looked at. */
#define CONFIG_BODY_ERRORS_MAX 50

/* The line that `body` begins with, in place of the section's own. */
#define CONFIG_BODY_HEADER "[section]\n"

/* Takes the values of `body`, whose first line is line `section->line` of the file. Lines that
 * can't be read are reported, blanked in `body`, and mark the section as broken. 0 or -ENOMEM. */
int config_body_read(ConfigSection *section, Buffer *body, ConfigErrors *errors);
