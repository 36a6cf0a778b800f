/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The System.map of a kernel: lines "ADDRESS TYPE NAME", as nm(1) prints them. A kernel that moved
 * itself at boot (KASLR) runs at other addresses than its map says; then nothing is found.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SystemMap SystemMap;
typedef struct SystemMapSymbol SystemMapSymbol;

/* KSYM_NAME_LEN of Linux, include/linux/kallsyms.h. */
#define SYSTEM_MAP_NAME_SIZE 513

/* Borrowed; the text need not be sorted, nor end with a NUL. */
struct SystemMap {
        const char *text;
        size_t size;
};

struct SystemMapSymbol {
        char name[SYSTEM_MAP_NAME_SIZE];
        uint64_t offset;
};

/* The function an address lies in; false when it lies in none. `map` may be NULL. One pass over the
 * text. */
bool system_map_find(const SystemMap *map, uint64_t address, SystemMapSymbol *ret);
