/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What people type about a made-up incident or a time, as the values commands take. All return 0,
 * -EINVAL or -ENOMEM.
 */
#include <json-c/json.h>
#include <stdint.h>

/* "plain", "hyper-v:ARG1[,ARG2...]" or "s390:REASON,MASK,ADDR[,CORE]" as a GuestPanicInformation;
 * *ret is NULL for "plain". Numbers are decimal, or hexadecimal with 0x. */
int spec_parse_panic(const char *spec, json_object **ret);
/* "REASON,MASK,ADDR[,CORE]" */
int spec_parse_s390(const char *spec, json_object **ret);
/* A span before `now` ("2h"), or a UTC date: "2026-11-21", "2026-11-21 03:12", with seconds too. */
int spec_parse_since(const char *spec, uint64_t now_s, uint64_t *ret_s);
