/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The System.map of a kernel: lines "ADDRESS TYPE NAME", as nm(1) prints them. A kernel that moved
 * itself at boot (KASLR) runs at other addresses than its map says; then nothing is found.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* KSYM_NAME_LEN of Linux, include/linux/kallsyms.h. */
#define SYSTEM_MAP_NAME_SIZE 513

typedef struct SystemMapSymbol {
        char name[SYSTEM_MAP_NAME_SIZE];
        uint64_t offset;
} SystemMapSymbol;

/* The function an address lies in; false when it lies in none. One pass over the text, which need
 * not be sorted, nor end with a NUL. */
bool system_map_find(const char *text, size_t n, uint64_t address, SystemMapSymbol *ret);
