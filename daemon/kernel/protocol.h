/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What goes between tocsind and tocsin-kernel: one SOCK_SEQPACKET packet for each request and each
 * reply, a fixed header and `length` bytes of text behind it, host byte order. Values only; a
 * descriptor comes along with the reply that hands it over (SCM_RIGHTS).
 *
 * The helper trusts nothing of a request: kernel_request_parse() is pure, and fuzzed.
 */
#include <stddef.h>
#include <stdint.h>

#include "policy/util/cleanup.h"

#define KERNEL_PROTOCOL_VERSION 1

/* RUNTIME_DIR/kernel.sock; where systemd listens for the helper. */
#define KERNEL_SOCKET_NAME "kernel.sock"

/* A client keeps at most so many requests under way, so that replies always fit the helper's socket
 * buffer (about 250 small packets): a peer that does not take them is closed, never waited for. */
#define KERNEL_REQUESTS_MAX 32

/* Longest text behind a header: a path, or an incident's record. Replies carry a line for people, or
 * what a program printed. */
#define KERNEL_TEXT_MAX ((size_t) 64 * 1024)

/* So many [notify] programs run at once. */
#define KERNEL_NOTIFY_MAX 4

/* Numbers never change meaning; new verbs go to the end. */
typedef enum KernelVerb {
        KERNEL_VERB_CONNECT_QMP = 1, /* text: the path; reply: a connected socket */
        KERNEL_VERB_RELOAD = 2,      /* no text; the helper reads its configuration again */
        KERNEL_VERB_KILL = 3,        /* text: "PID START-TIME"; with tocsind's connection to it */
        KERNEL_VERB_NOTIFY = 4, /* text: notify-request.h; the reply comes when the program ended */
        KERNEL_VERB_OPEN_CONNECTOR = 5, /* no text; reply: a socket that hears how processes end */
        KERNEL_VERB_FIND_HOLDERS = 6, /* text: what of (holders.h); reply: a file that names them */
        _KERNEL_VERB_MAX,
} KernelVerb;

typedef struct KernelHeader {
        uint32_t version;
        uint32_t verb;
        uint64_t id;     /* chosen by the client, comes back with the reply */
        int32_t result;  /* reply: 0 or a negative errno; request: 0 */
        uint32_t length; /* of the text */
} KernelHeader;

#define KERNEL_PACKET_MAX (sizeof(KernelHeader) + KERNEL_TEXT_MAX)

typedef struct KernelPacket {
        KernelHeader header;
        char text[KERNEL_TEXT_MAX + 1]; /* NUL-terminated, without a NUL in it */
} KernelPacket;

/* What is wrong with a request, or how far it could be understood. */
#define KERNEL_E_MALFORMED 1    /* no reply is possible: close the peer */
#define KERNEL_E_UNKNOWN_VERB 2 /* *ret holds the header; to be refused in words */

int kernel_request_parse(const void *data, size_t n, KernelPacket *ret);
/* For the client's side: 0 or KERNEL_E_MALFORMED. */
int kernel_reply_parse(const void *data, size_t n, KernelPacket *ret);

/* Sends one packet without waiting. `text` may be NULL; what is too long is cut. `fd` is sent along, or -1.
 * 0, -EAGAIN when the peer does not read, or another negative errno. */
int kernel_packet_send(int socket, const KernelHeader *header, const char *text, int fd);
/* Receives one packet into data[KERNEL_PACKET_MAX]. Bytes, 0 at the end, -EAGAIN, -EMSGSIZE, or a negative
 * errno. *ret_fd is a descriptor that came along (to be closed), or -1. */
int kernel_packet_receive(int socket, void *data, size_t size, size_t *ret_n, int *ret_fd);
