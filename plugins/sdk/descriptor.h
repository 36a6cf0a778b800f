/* SPDX-License-Identifier: MIT */
#pragma once
/* What a plugin in C says of itself, read from its file without running any of it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi-types.h"

/* A shared object larger than this is not read. */
#define DESCRIPTOR_FILE_MAX (UINT64_C(64) << 20)
/* Most options of one plugin. */
#define DESCRIPTOR_OPTIONS_MAX 64
/* A name, a version, a default or a doc longer than this is no text. */
#define DESCRIPTOR_TEXT_MAX 1024

#define DESCRIPTOR_E_INVALID 1

/* `elf` is the whole file. 0, -ENOMEM, or DESCRIPTOR_E_INVALID with words for people, to be freed. */
int descriptor_read(const void *elf, size_t n, PluginDescription **ret, char **ret_error);
int descriptor_read_file(const char *path, PluginDescription **ret, char **ret_error);

/* The text of an option as a value. 0, or -EINVAL: it is none of that type. */
int option_parse(PluginOptionType type, const char *text, uint64_t *ret_number, uint64_t *ret_within_us);
/* What was expected: "a time such as 10min". */
const char *option_expect(PluginOptionType type);
