/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The program tocsind that belongs to this tocsinctl, run for what only it knows. */

/* Becomes `tocsind WHAT [--config FILE]`; returns, negative, only when there is none. */
int tocsind_exec(const char *what, const char *file);
/* Its output, to be freed. 0; 1 when it ended with an error, which it has told on stderr; negative
 * when it could not be run. */
int tocsind_read(const char *what, const char *file, char **ret);
