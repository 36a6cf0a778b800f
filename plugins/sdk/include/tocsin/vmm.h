/* SPDX-License-Identifier: MIT */
#ifndef TOCSIN_VMM_H
#define TOCSIN_VMM_H

/**
 * Reporting from any VMM: what happened to a guest goes to tocsind, which answers what to do.
 *
 *         struct tocsin_vmm *vmm;
 *         struct tocsin_vmm_machine machine = { sizeof(machine), "web" };
 *         struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "web");
 *         struct tocsin_vmm_decision decision;
 *
 *         tocsin_vmm_new(&vmm, NULL);
 *         tocsin_vmm_register(vmm, &machine);
 *         ...
 *         report.action = TOCSIN_ACTION_PAUSE;                   what we do if nobody answers
 *         tocsin_vmm_ask(vmm, &report, 500, &decision);          at most 500 ms
 *         carry_out(decision.action);
 *         tocsin_vmm_done(vmm, "web", decision.incident, decision.action, NULL);
 *
 * Nothing here ever waits for tocsind but tocsin_vmm_ask(), and that not longer than it is told. When
 * tocsind is away, whoever asks is answered at once with the action the report names, and the report
 * is delivered later out of a queue in memory. It is bounded (the oldest report goes first), and lost
 * with the process.
 *
 * Link with libtocsin (pkg-config: libtocsin). C99 and C++11. Every function may be called from any
 * thread; there is no state but in the handle. Callbacks are called by tocsin_vmm_dispatch() alone,
 * from the thread that calls it, and may call everything here but tocsin_vmm_free().
 *
 * Structs begin with their size, and only grow at their end; zero means absent. Functions return 0, or
 * a negative errno.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tocsin/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Room for a reason, its NUL included; longer ones are cut. */
#define TOCSIN_VMM_REASON_SIZE 256
/** Most reports kept while tocsind is away, and asked for at once. */
#define TOCSIN_VMM_QUEUE_MAX 64
/** Longest text of a guest; what is longer is cut. */
#define TOCSIN_VMM_MESSAGE_MAX 4096

/** A connection to tocsind, and what waits for it. */
struct tocsin_vmm;

/** Something is to be done now: a decision that came after a delay, or too late to be an answer, or for
 * an event that was relayed. Say with tocsin_vmm_done() what was done. */
struct tocsin_vmm_act {
        size_t size;
        /** As it was registered. */
        const char *machine;
        uint64_t incident;
        /** reset means: the machine runs afterwards. */
        enum tocsin_action action;
        const char *reason;
};

struct tocsin_vmm_options {
        size_t size;
        /** NULL: /run/tocsin/vmm.sock */
        const char *socket;
        /** UUID that tells this process's reports from others'. NULL: made up. */
        const char *client;
        /** NULL: such decisions are reported as not carried out. Strings are borrowed for the call. */
        void (*act)(const struct tocsin_vmm_act *act, void *userdata);
        void *userdata;
};

/** A machine. */
struct tocsin_vmm_machine {
        size_t size;
        const char *name;
        /** NULL: not known. */
        const char *uuid;
        const char *version;
        /** The process that is the machine, whose end is the machine's. 0: this one. */
        int64_t pid;
        /** The actions that can be carried out, as 1U << enum tocsin_action. 0: none, run, pause, reset,
         * shutdown and poweroff. */
        uint32_t can;
        /** True if its QMP events are relayed (TOCSIN_VMM_EVENT); then none is made out of reports. */
        bool relays;
        /** True if it does not run when it is registered, but is in `state`. */
        bool has_state;
        enum tocsin_run_state state;
};

/** What is reported. The first five want a decision. */
enum tocsin_vmm_report_kind {
        TOCSIN_VMM_PANIC = 0,       /**< the guest panicked */
        TOCSIN_VMM_CRASHLOADED = 1, /**< and its own crash kernel has taken over */
        TOCSIN_VMM_WATCHDOG = 2,    /**< a watchdog expired */
        TOCSIN_VMM_MEMORY_FAILURE = 3,
        TOCSIN_VMM_NOTIFY_VMEXIT = 4,
        TOCSIN_VMM_RUN_STATE = 5, /**< the machine is in another run state */
        TOCSIN_VMM_VFIO_MIGRATION = 6,
        TOCSIN_VMM_EVENT = 7, /**< a QMP event that came from elsewhere */
        TOCSIN_VMM_DONE = 8,  /**< what tocsin_vmm_done() says */
};

/** A Hyper-V crash register as the guest wrote it. */
struct tocsin_vmm_msr {
        /** 0x40000100 to 0x40000104: P0 to P4; 0x40000105: control. */
        uint32_t index;
        uint64_t value;
};

struct tocsin_vmm_psw {
        uint64_t mask, addr;
};

/** An s390 CPU that went down. */
struct tocsin_vmm_s390 {
        uint32_t core;
        struct tocsin_vmm_psw psw;
        /** Whether the two of its lowcore are known: at 0x1d0 and at 0x1b0. */
        bool has_new_psws;
        struct tocsin_vmm_psw program_new, external_new;
};

/** A report. Everything is borrowed for the call. Begin with tocsin_vmm_report(). */
struct tocsin_vmm_report {
        size_t size;
        enum tocsin_vmm_report_kind kind;
        const char *machine;
        /** When it happened, in microseconds since the Epoch. 0: now. */
        uint64_t time_us;
        /** Of the kinds that want a decision: what is done when there is none. DONE: what was done. */
        enum tocsin_action action;

        /** PANIC: at most one of these says why. CRASHLOADED: the first may. */
        const struct tocsin_guest_panic_information *info;
        const struct tocsin_vmm_msr *hyperv;
        size_t n_hyperv;
        const struct tocsin_vmm_s390 *s390;
        /** PANIC: what the guest left to read, of any bytes; for the message form of the registers the
         * text at the address in P3. */
        const char *message;
        size_t message_length;

        /** MEMORY_FAILURE. Addresses are told when they are not 0. */
        enum tocsin_memory_failure_recipient recipient;
        bool action_required, recursive;
        uint64_t address, guest_address;

        /** RUN_STATE; the cause counts when it is a shutdown. */
        enum tocsin_run_state state;
        enum tocsin_shutdown_cause cause;

        /** VFIO_MIGRATION */
        const char *device_id, *qom_path;
        enum tocsin_qapi_vfio_migration_state device_state;

        /** EVENT: its name, and its data as the text of a JSON object, or NULL. */
        const char *event, *data;

        /** DONE */
        uint64_t incident;
        const char *error;
};

/** An empty report. */
static inline struct tocsin_vmm_report tocsin_vmm_report(enum tocsin_vmm_report_kind kind,
                                                         const char *machine) {
        struct tocsin_vmm_report report;

        memset(&report, 0, sizeof(report));
        report.size = sizeof(report);
        report.kind = kind;
        report.machine = machine;
        return report;
}

/** What to do about a report. */
struct tocsin_vmm_decision {
        /** For tocsin_vmm_done(); 0 when nobody is to be told. */
        uint64_t incident;
        /** What to do now. */
        enum tocsin_action action;
        /** True if tocsind did not answer, and `action` is the report's own. */
        bool fallback;
        /** When more will come through act(), in microseconds since the Epoch; 0: nothing will. */
        uint64_t due_us;
        char reason[TOCSIN_VMM_REASON_SIZE];
};

/** Connects; that tocsind is away is no error. `options` may be NULL. */
int tocsin_vmm_new(struct tocsin_vmm **ret, const struct tocsin_vmm_options *options);
/** What has not been delivered is lost. NULL is fine. Returns NULL. */
struct tocsin_vmm *tocsin_vmm_free(struct tocsin_vmm *vmm);

/** For an event loop: one descriptor for the whole life of the handle. When it is readable, call
 * tocsin_vmm_dispatch(). A VMM that never does is served while it asks, hears no act(), and does not
 * reconnect but when it reports. */
int tocsin_vmm_get_fd(const struct tocsin_vmm *vmm);
/** Does what there is to do, without waiting. */
int tocsin_vmm_dispatch(struct tocsin_vmm *vmm);

/** Says of a machine that it is there; said again after each reconnect. To change what was said, say it
 * again. */
int tocsin_vmm_register(struct tocsin_vmm *vmm, const struct tocsin_vmm_machine *machine);
/** Says of a machine that its run is over, while its process lives on. */
int tocsin_vmm_unregister(struct tocsin_vmm *vmm, const char *machine);
/** 1: tocsind answers; 0: it is away. *ret_error (may be NULL) is why the last registration was
 * refused, or "", and lives until the next call here. */
int tocsin_vmm_get_state(struct tocsin_vmm *vmm, const char **ret_error);

/** Reports, and waits for the decision, at most so long. *ret is filled in any case. */
int tocsin_vmm_ask(struct tocsin_vmm *vmm,
                   const struct tocsin_vmm_report *report,
                   unsigned deadline_ms,
                   struct tocsin_vmm_decision *ret);
/** The same without waiting: func is called by tocsin_vmm_dispatch(), once. */
int tocsin_vmm_ask_later(struct tocsin_vmm *vmm,
                         const struct tocsin_vmm_report *report,
                         unsigned deadline_ms,
                         void (*func)(const struct tocsin_vmm_decision *decision, void *userdata),
                         void *userdata);
/** Reports without asking. What wants a decision is told to have been dealt with by report.action. */
int tocsin_vmm_tell(struct tocsin_vmm *vmm, const struct tocsin_vmm_report *report);
/** What was done about an incident. `error`: why it could not be; NULL: it was. */
int tocsin_vmm_done(struct tocsin_vmm *vmm,
                    const char *machine,
                    uint64_t incident,
                    enum tocsin_action action,
                    const char *error);

/**
 * The bytes alone, for a VMM with an I/O layer of its own. On a connection to vmm.sock: read the
 * greeting, a line; send {"execute": "qmp_capabilities"}, then each machine, then reports. Every
 * message is answered with a line, in order. `number` is 1 and one more for each report. `flags` are
 * those a report is sent with again. Returns the length without the NUL, which may be `size` or more: then
 * nothing can be used; or a negative errno.
 */
#define TOCSIN_VMM_AGAIN 1U /**< it may have been sent before */
#define TOCSIN_VMM_ACTED 2U /**< report.action has been done, without waiting */
int64_t tocsin_vmm_encode(char *buffer,
                          size_t size,
                          const struct tocsin_vmm_report *report,
                          const char *client,
                          uint64_t number,
                          unsigned flags);
int64_t tocsin_vmm_encode_machine(char *buffer,
                                  size_t size,
                                  const struct tocsin_vmm_machine *machine,
                                  const char *client);
/** Reads the line that answers a report. 0, -EREMOTEIO (refused; the reason says why), or -EBADMSG. */
int tocsin_vmm_decode(const char *line, size_t length, struct tocsin_vmm_decision *ret);

#ifdef __cplusplus
}
#endif

#endif
