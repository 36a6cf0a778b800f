/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What people paste: finds panic information in text of unknown origin. Known are log lines of QEMU
 * and libvirt, event text of a Hyper-V host, blue screens, QMP and our own records as JSON, and bare
 * numbers. The text is hostile: any bytes, any length up to the limit; time is linear in it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "qapi-types.h"

/* A libvirt log of a busy guest is some hundred KiB. */
#define PASTE_TEXT_MAX (4 << 20)
/* Crashes taken out of one text; a guest in a crash loop leaves more. */
#define PASTE_ITEMS_MAX 64

typedef struct Paste Paste;
typedef struct PasteItem PasteItem;

/* paste_parse() */
#define PASTE_E_NOTHING 1 /* nothing was recognised */
#define PASTE_E_TOO_LONG 2

struct PasteItem {
        GuestPanicInformation *info;
        unsigned n_parameters; /* of a stop code: how many of the four were given */
};

struct Paste {
        PasteItem items[PASTE_ITEMS_MAX];
        size_t n_items;
        bool is_cut; /* there were more */
};

#define PASTE_NULL                                                                                 \
        {}

/* 0, -ENOMEM or PASTE_E_*. `paste` is to be deinitialised in any case. */
int paste_parse(Paste *paste, const char *text, size_t n);
void paste_deinit(Paste *paste);
