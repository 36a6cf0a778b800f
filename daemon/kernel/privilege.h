/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives up every capability but those the verbs need, for good. 0 or a negative errno. Without
 * privilege there is nothing to give up. */
int privilege_drop(void);
