/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the process of a plugin gives up before any of the plugin is run: privileges, resources, most of
 * the file system, most system calls. Nothing of it can be taken back.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Confinement {
        const char *file; /* of the plugin: its folder can be read */
        bool is_program;  /* it may run programs, which a shared object may not */
        uint64_t memory;  /* bytes of address space; UINT64_MAX: as it is */
        const char **reads, **writes;
        size_t n_reads, n_writes;
} Confinement;

/* 0 or negative; what is wrong has been written to stderr. */
int confine(const Confinement *confinement);
/* The parts, which confine() puts into order. */
int confine_calls(bool is_program);
int confine_files(const Confinement *confinement);
