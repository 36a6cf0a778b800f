/* SPDX-License-Identifier: MIT */
#ifndef TOCSIN_VMM_PRIVATE_H
#define TOCSIN_VMM_PRIVATE_H
/*
 * A handle: reports on their way, in the order they were made, and at most one connection. All of it is
 * behind one lock, which is never held while somebody waits or is called back.
 */
#include <pthread.h>
#include <tocsin/vmm.h>

#include "plugins/sdk/lib/vmm-encode.h"

/* Incidents that were decided, remembered so that none is carried out twice. */
#define VMM_KNOWN_MAX 16
/* Longest line of tocsind: a decision, or what it refuses, with a reason. */
#define VMM_LINE_MAX 65536
/* Machines of one handle. */
#define VMM_MACHINES_MAX 16384

/* Somebody who waits in tocsin_vmm_ask(), on his stack. */
struct vmm_waiter {
        bool done;
        struct tocsin_vmm_decision decision;
};

typedef void (*vmm_decided_func)(const struct tocsin_vmm_decision *decision, void *userdata);

/* A report that has no answer yet. */
struct vmm_entry {
        struct vmm_entry *next;
        uint64_t number;
        char *machine;
        char *text; /* the message; flags go in at flags_at */
        size_t length, flags_at;
        bool decided; /* it is of a kind that gets a decision */
        enum tocsin_action action;
        bool sent;  /* on this connection */
        bool again; /* on another one before */
        bool acted; /* told so, or to be told so */
        struct vmm_waiter *waiter;
        vmm_decided_func func;
        void *userdata;
        uint64_t deadline_us; /* of func */
};

struct vmm_machine {
        struct vmm_machine *next;
        char *name, *uuid, *version;
        struct tocsin_vmm_machine said; /* pointing at those */
};

/* A callback to be made. */
struct vmm_delivery {
        struct vmm_delivery *next;
        vmm_decided_func func; /* NULL: act */
        void *userdata;
        struct tocsin_vmm_decision decision;
        char *machine; /* of an act */
};

struct vmm_known {
        uint64_t incident;
        enum tocsin_action action;
        bool done;
        char error[64];
};

struct vmm_bytes {
        char *data;
        size_t length, size;
};

enum vmm_state {
        VMM_OFF,
        VMM_GREETING,    /* connected: its first line is awaited */
        VMM_NEGOTIATING, /* so is the answer to qmp_capabilities */
        VMM_REGISTERING, /* so are those to register-machine */
        VMM_READY,
};

struct tocsin_vmm {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* a waiter is done, or nobody polls any more */
        char *path;
        char client[37];
        void (*act)(const struct tocsin_vmm_act *act, void *userdata);
        void *userdata;

        int poll_fd;  /* epoll: what the caller sees */
        int timer_fd; /* in it: time to reconnect, a deadline of ask_later() */
        int wake_fd;  /* in it: another thread has left something to do */
        int poke_fd;  /* wakes whoever polls in ask() */
        bool polling;

        int fd; /* -1: none */
        enum vmm_state state;
        size_t registering; /* answers owed to register-machine */
        struct vmm_bytes in, out;
        bool wants_write; /* as epoll was told */
        uint64_t pause_us, retry_us;
        char error[TOCSIN_VMM_REASON_SIZE];

        struct vmm_entry *entries, **entries_end;
        size_t n_entries;
        uint64_t number; /* of the last report */
        struct vmm_machine *machines;
        size_t n_machines;
        struct vmm_delivery *deliveries, **deliveries_end;
        size_t n_deliveries;
        struct vmm_known known[VMM_KNOWN_MAX];
        size_t n_known;
};

/* All of these want the lock. */

/* vmm-connection.c */
uint64_t vmm_get_time(clockid_t clock);
void vmm_connect(struct tocsin_vmm *vmm);
/* Takes what there is, sends what there is to send. */
void vmm_pump(struct tocsin_vmm *vmm);
void vmm_disconnect(struct tocsin_vmm *vmm, const char *why);
int vmm_send_register(struct tocsin_vmm *vmm, const struct vmm_machine *machine);
int vmm_send(struct tocsin_vmm *vmm, const char *text, size_t n);
/* The timer follows what is pending. */
void vmm_arm(struct tocsin_vmm *vmm);
void vmm_wake(int fd);

/* vmm-queue.c */
int vmm_entry_new(struct tocsin_vmm *vmm,
                  const struct tocsin_vmm_report *report,
                  struct vmm_entry **ret);
/* Nobody waits for it any more: it is told as dealt with, whenever it is told. */
void vmm_entry_give_up(struct tocsin_vmm *vmm, struct vmm_entry *entry, const char *why);
/* Its answer. `error`: words of a refusal, or NULL. */
void vmm_entry_answered(struct tocsin_vmm *vmm,
                        uint64_t number,
                        const struct tocsin_vmm_decision *decision,
                        const char *error);
void vmm_entry_free(struct vmm_entry *entry);
void vmm_expire(struct tocsin_vmm *vmm);
void vmm_queue_done(struct tocsin_vmm *vmm,
                    const char *machine,
                    uint64_t incident,
                    enum tocsin_action action,
                    const char *error);
void vmm_take_act(struct tocsin_vmm *vmm, const char *machine, const struct tocsin_vmm_decision *act);
struct vmm_known *vmm_find_known(struct tocsin_vmm *vmm, uint64_t incident);
void vmm_fall_back(struct tocsin_vmm_decision *ret, enum tocsin_action action, const char *why);

#endif
