/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What guests with encrypted memory (Intel TDX, AMD SEV) say as they give up.
 */
#include "policy/decode/decoded.h"
#include "qapi-types.h"

void confidential_decode_tdx(const GuestPanicInformationTdx *info, Decoded *decoded);
void confidential_decode_sev(const GuestPanicInformationSev *info, Decoded *decoded);
