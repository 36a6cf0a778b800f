/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Which processes hold open what: told by their descriptors in /proc, for which it takes privilege. */
#include <stddef.h>
#include <sys/types.h>

/* What may be looked for; the words of the request. */
#define HOLDERS_KVM "kvm"           /* virtual machines */
#define HOLDERS_WATCHDOG "watchdog" /* watchdog devices */

/* Beyond it nothing is told: 10,000 guests take half a megabyte. */
#define HOLDERS_TEXT_MAX ((size_t) 4 << 20)

typedef struct Holder {
        pid_t pid;
        const char *target; /* as the link of the descriptor says it */
        const char *name;   /* of the process */
} Holder;

typedef void (*HolderFunc)(const Holder *holder, void *userdata);

/* Writes them into a file in memory. 0, -EINVAL (no such word), or another negative errno. */
int holders_find(const char *word, int *ret_fd);
/* And reads that. 0 or a negative errno. */
int holders_read(int fd, HolderFunc func, void *userdata);
/* Lines "PID TAB TARGET TAB NAME"; others are passed over. Changes the text. Pure. */
void holders_parse(char *text, HolderFunc func, void *userdata);
