/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The proc connector, asked for the ends of processes that did not end with status 0. */
#include "daemon/source/netlink.h"

/* 0, -EPERM (before Linux 6.6 it takes CAP_NET_ADMIN), -ECONNREFUSED (not in this network namespace), or
 * another negative errno. */
int connector_open(struct nl_sock **ret);
