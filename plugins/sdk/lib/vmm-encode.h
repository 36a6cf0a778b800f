/* SPDX-License-Identifier: MIT */
#ifndef TOCSIN_VMM_ENCODE_H
#define TOCSIN_VMM_ENCODE_H
/* Messages of vmm.sock: reports and machines into bytes, decisions out of them. */
#include <tocsin/vmm.h>

#include "plugins/sdk/lib/vmm-json.h"

/* Members of a struct that its maker may not have known. */
#define VMM_HAS(value, member)                                                                     \
        ((value)->size >= offsetof(__typeof__(*(value)), member) + sizeof((value)->member))

/* The word of an action; NULL: there is none of that number. */
const char *vmm_action_to_string(enum tocsin_action action);
int vmm_action_from_string(const char *word, enum tocsin_action *ret);
bool vmm_report_is_decided(const struct tocsin_vmm_report *report);
/* 0, or -EINVAL when it can't be sent. */
int vmm_report_check(const struct tocsin_vmm_report *report);
/* *ret_flags: where to insert what vmm_flags_encode() writes. */
void vmm_report_encode(struct vmm_json *json,
                       const struct tocsin_vmm_report *report,
                       const char *client,
                       uint64_t number,
                       size_t *ret_flags);
void vmm_flags_encode(struct vmm_json *json, unsigned flags);
void vmm_machine_encode(struct vmm_json *json,
                        const struct tocsin_vmm_machine *machine,
                        const char *client);
/* The value of "return". 0 or -EBADMSG. */
int vmm_decision_read(struct vmm_text value, struct tocsin_vmm_decision *ret);
bool vmm_is_uuid(const char *text);

#endif
