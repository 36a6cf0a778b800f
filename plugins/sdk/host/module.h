/* SPDX-License-Identifier: MIT */
#pragma once
/* A plugin in C, loaded. */
#include <tocsin/plugin.h>

#include "qapi-types.h"

typedef struct Module Module;

/* Runs constructors, and nothing else of it. 0 or negative; *ret_error says what is wrong, to be freed. */
int module_load(Module **ret, const char *file, char **ret_error);
Module *module_free(Module *module);
/* `options` is an object of strings. As module_load(). */
int module_start(Module *module, json_object *options, char **ret_error);
/* Its answer to a hello. */
int module_describe(const Module *module, PluginReady **ret);
int module_ask(Module *module,
               const PluginQuestion *question,
               json_object *incident,
               PluginAnswer **ret);
