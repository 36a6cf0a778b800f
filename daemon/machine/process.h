/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The process behind a guest: found by any of its threads, held by a pidfd, and told from every
 * other process this host has had or will have by boot, number and start time.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "<boot id, 8 hex>-<pid>-<start time>" */
#define PROCESS_RUN_ID_SIZE 48

typedef struct Process {
        pid_t pid;           /* of the thread group */
        uid_t uid;           /* effective */
        uint64_t start_time; /* clock ticks since boot, as in /proc/PID/stat */
        bool nested;         /* in a PID namespace of its own: numbers it names are not ours */
        int pidfd;
} Process;

#define PROCESS_NULL                                                                               \
        { .pidfd = -1 }

/* What /proc/PID/status and /proc/PID/stat say. 0 or -EINVAL. Pure. */
int process_parse_status(const char *text, pid_t *ret_tgid, uid_t *ret_euid, bool *ret_nested);
int process_parse_stat(const char *text, uint64_t *ret_start_time, uint64_t *ret_cpu_ticks);

/* Opens the process that thread belongs to. 0, -ESRCH when there is none, or another negative errno. */
int process_open(pid_t tid, Process *ret);
void process_deinit(Process *process);
bool process_has_ended(const Process *process);
int process_get_run_id(const Process *process, char ret[static PROCESS_RUN_ID_SIZE]);

/* CPU time of the main thread alone: the vCPUs' time says nothing about whether a QEMU that does
 * not answer is busy. 0 or a negative errno. */
int process_get_main_ticks(pid_t pid, uint64_t *ret);
/* Whether such a signal comes from what a process did itself, or from memory that failed under it. */
bool process_is_crash(int signal);
/* The signal that ended a process, as far as this kernel tells: 0 for none, and when unknown. */
int process_get_end_signal(const Process *process);
