/* SPDX-License-Identifier: MIT */
/*
 * The connection: made, lost and made again. tocsind answers in the order it is asked, a line each; a
 * report's id is its number, everything else has the id 0 and is told by the state we are in.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "plugins/sdk/lib/vmm-private.h"

#define USEC_PER_SEC UINT64_C(1000000)
/* tocsind is restarted within 100 ms. One that is away for longer is looked for now and then, and
 * with each report. */
#define RETRY_MIN_US UINT64_C(100000)
#define RETRY_MAX_US (30 * USEC_PER_SEC)
#define RECEIVE_BYTES 4096

uint64_t vmm_get_time(clockid_t clock) {
        struct timespec now;

        (void) clock_gettime(clock, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

void vmm_wake(int fd) {
        uint64_t one = 1;
        ssize_t n;

        n = write(fd, &one, sizeof(one)); /* a counter that is full wakes as well */
        (void) n;
}

static int vmm_bytes_add(struct vmm_bytes *bytes, const char *data, size_t n) {
        if (bytes->length + n > bytes->size) {
                size_t size = 2 * (bytes->length + n);
                char *larger = realloc(bytes->data, size);

                if (!larger)
                        return -ENOMEM;
                bytes->data = larger;
                bytes->size = size;
        }
        memcpy(bytes->data + bytes->length, data, n);
        bytes->length += n;
        return 0;
}

static void vmm_bytes_drop(struct vmm_bytes *bytes, size_t n) {
        bytes->length -= n;
        memmove(bytes->data, bytes->data + n, bytes->length);
}

static void vmm_bytes_clear(struct vmm_bytes *bytes) {
        free(bytes->data);
        memset(bytes, 0, sizeof(*bytes));
}

int vmm_send(struct tocsin_vmm *vmm, const char *text, size_t n) {
        return vmm_bytes_add(&vmm->out, text, n);
}

int vmm_send_register(struct tocsin_vmm *vmm, const struct vmm_machine *machine) {
        struct vmm_json json = { NULL, 0, 0 };
        char *text;
        int r;

        vmm_machine_encode(&json, &machine->said, vmm->client);
        text = malloc(json.length + 1);
        if (!text)
                return -ENOMEM;
        json = (struct vmm_json){ text, json.length + 1, 0 };
        vmm_machine_encode(&json, &machine->said, vmm->client);
        r = vmm_send(vmm, text, json.length);
        free(text);
        return r;
}

void vmm_disconnect(struct tocsin_vmm *vmm, const char *why) {
        uint64_t now = vmm_get_time(CLOCK_MONOTONIC);

        if (vmm->fd >= 0)
                (void) close(vmm->fd); /* which takes it out of the epoll, too */
        vmm->fd = -1;
        vmm->state = VMM_OFF;
        vmm->wants_write = false;
        vmm->registering = 0;
        vmm_bytes_clear(&vmm->in);
        vmm_bytes_clear(&vmm->out);
        if (vmm->retry_us <= now) {
                vmm->pause_us = vmm->pause_us == 0 ? RETRY_MIN_US : 2 * vmm->pause_us;
                if (vmm->pause_us > RETRY_MAX_US)
                        vmm->pause_us = RETRY_MAX_US;
                vmm->retry_us = now + vmm->pause_us;
        }
        for (struct vmm_entry *entry = vmm->entries; entry; entry = entry->next) {
                entry->again |= entry->sent;
                entry->sent = false;
                if (entry->decided)
                        vmm_entry_give_up(vmm, entry, why);
        }
        vmm_arm(vmm);
}

void vmm_connect(struct tocsin_vmm *vmm) {
        struct sockaddr_un address;
        struct epoll_event event;

        memset(&address, 0, sizeof(address));
        memset(&event, 0, sizeof(event));
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, vmm->path, strlen(vmm->path) + 1);
        event.events = EPOLLIN;
        vmm->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (vmm->fd < 0 || connect(vmm->fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            epoll_ctl(vmm->poll_fd, EPOLL_CTL_ADD, vmm->fd, &event) < 0) {
                vmm_disconnect(vmm, "tocsind is away");
                return;
        }
        vmm->state = VMM_GREETING;
}

/* Reports that have not gone out on this connection, in their order. */
static int vmm_send_entries(struct tocsin_vmm *vmm) {
        for (struct vmm_entry *entry = vmm->entries; entry; entry = entry->next) {
                char text[64];
                struct vmm_json flags = { text, sizeof(text), 0 };

                if (entry->sent)
                        continue;
                vmm_flags_encode(&flags,
                                 (entry->again ? TOCSIN_VMM_AGAIN : 0) |
                                         (entry->acted ? TOCSIN_VMM_ACTED : 0));
                if (vmm_send(vmm, entry->text, entry->flags_at) < 0 ||
                    vmm_send(vmm, text, flags.length) < 0 ||
                    vmm_send(vmm, entry->text + entry->flags_at, entry->length - entry->flags_at) < 0)
                        return -ENOMEM;
                entry->sent = true;
        }
        return 0;
}

static void vmm_become_ready(struct tocsin_vmm *vmm) {
        vmm->state = VMM_READY;
        vmm->pause_us = 0;
}

static int vmm_take_error(struct tocsin_vmm *vmm, struct vmm_text line) {
        struct vmm_text error;

        if (!vmm_json_get(line, "error", &error))
                return 0;
        (void) vmm_json_get_string(error, "desc", vmm->error, sizeof(vmm->error));
        return -EREMOTEIO;
}

/* What comes before the first report. */
static int vmm_take_setup(struct tocsin_vmm *vmm, struct vmm_text line) {
        static const char capabilities[] = "{\"execute\": \"qmp_capabilities\", \"id\": 0}\r\n";
        int r = vmm_take_error(vmm, line);

        switch (vmm->state) {
        case VMM_GREETING:
                if (r < 0)
                        return r;
                vmm->state = VMM_NEGOTIATING;
                return vmm_send(vmm, capabilities, sizeof(capabilities) - 1);
        case VMM_NEGOTIATING:
                if (r < 0)
                        return r;
                vmm->error[0] = '\0';
                vmm->state = VMM_REGISTERING;
                for (struct vmm_machine *machine = vmm->machines; machine; machine = machine->next) {
                        r = vmm_send_register(vmm, machine);
                        if (r < 0)
                                return r;
                        vmm->registering++;
                }
                if (vmm->registering == 0)
                        vmm_become_ready(vmm);
                return 0;
        case VMM_REGISTERING:
                if (vmm->registering > 0 && --vmm->registering == 0)
                        vmm_become_ready(vmm);
                return 0; /* a machine that was refused is no reason to give up the others */
        case VMM_READY:
        case VMM_OFF:
                break;
        }
        return 0;
}

static void vmm_take_event(struct tocsin_vmm *vmm, struct vmm_text line) {
        struct tocsin_vmm_decision act;
        struct vmm_text data;
        char name[16], machine[4096];

        if (!vmm_json_get_string(line, "event", name, sizeof(name)) || strcmp(name, "ACT") != 0 ||
            !vmm_json_get(line, "data", &data) ||
            !vmm_json_get_string(data, "machine", machine, sizeof(machine)) ||
            vmm_decision_read(data, &act) < 0)
                return;
        vmm_take_act(vmm, machine, &act);
}

static void vmm_take_reply(struct tocsin_vmm *vmm, struct vmm_text line, uint64_t number) {
        struct tocsin_vmm_decision decision;
        struct vmm_text value;
        bool has = vmm_json_get(line, "return", &value) && vmm_decision_read(value, &decision) == 0;
        bool refused = vmm_take_error(vmm, line) < 0;

        vmm_entry_answered(vmm, number, has ? &decision : NULL, refused ? vmm->error : NULL);
}

static int vmm_take_line(struct tocsin_vmm *vmm, struct vmm_text line) {
        struct vmm_text value;
        uint64_t number = 0;

        if (vmm->state == VMM_GREETING)
                return vmm_take_setup(vmm, line);
        if (vmm_json_get(line, "event", &value)) {
                vmm_take_event(vmm, line);
                return 0;
        }
        /* without an id it answers something that could not be read, which we never send */
        if (!vmm_json_get_number(line, "id", &number))
                return -EBADMSG;
        if (number > 0) {
                vmm_take_reply(vmm, line, number);
                return 0;
        }
        if (vmm->state == VMM_READY) {
                (void) vmm_take_error(vmm, line);
                return 0;
        }
        return vmm_take_setup(vmm, line);
}

static int vmm_take_lines(struct tocsin_vmm *vmm) {
        for (;;) {
                char *end = vmm->in.length ? memchr(vmm->in.data, '\n', vmm->in.length) : NULL;
                int r;

                if (!end)
                        return vmm->in.length > VMM_LINE_MAX ? -EMSGSIZE : 0;
                r = vmm_take_line(vmm,
                                  (struct vmm_text){ vmm->in.data, (size_t) (end - vmm->in.data) });
                if (r < 0)
                        return r;
                vmm_bytes_drop(&vmm->in, (size_t) (end - vmm->in.data) + 1);
        }
}

static int vmm_receive(struct tocsin_vmm *vmm) {
        char data[RECEIVE_BYTES];

        for (;;) {
                ssize_t n = recv(vmm->fd, data, sizeof(data), 0);
                int r;

                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
                if (n == 0)
                        return -ECONNRESET;
                r = vmm_bytes_add(&vmm->in, data, (size_t) n);
                if (r == 0)
                        r = vmm_take_lines(vmm);
                if (r < 0)
                        return r;
        }
}

static int vmm_transmit(struct tocsin_vmm *vmm) {
        struct epoll_event event;
        bool wants;

        if (vmm->out.length > 0) {
                ssize_t n = send(vmm->fd, vmm->out.data, vmm->out.length, MSG_NOSIGNAL);

                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (n > 0)
                        vmm_bytes_drop(&vmm->out, (size_t) n);
        }
        wants = vmm->out.length > 0;
        if (wants == vmm->wants_write)
                return 0;
        memset(&event, 0, sizeof(event));
        event.events = EPOLLIN | (wants ? EPOLLOUT : 0);
        if (epoll_ctl(vmm->poll_fd, EPOLL_CTL_MOD, vmm->fd, &event) < 0)
                return -errno;
        vmm->wants_write = wants;
        return 0;
}

void vmm_pump(struct tocsin_vmm *vmm) {
        int r;

        if (vmm->fd < 0)
                return;
        r = vmm_receive(vmm);
        if (r == 0 && vmm->state == VMM_READY)
                r = vmm_send_entries(vmm);
        if (r == 0)
                r = vmm_transmit(vmm);
        if (r < 0)
                vmm_disconnect(vmm, "the connection to tocsind was lost");
}

void vmm_arm(struct tocsin_vmm *vmm) {
        uint64_t next_us = vmm->fd < 0 ? vmm->retry_us : UINT64_MAX;
        struct itimerspec timer;

        for (struct vmm_entry *entry = vmm->entries; entry; entry = entry->next)
                if (entry->func && entry->deadline_us < next_us)
                        next_us = entry->deadline_us;
        memset(&timer, 0, sizeof(timer));
        if (next_us < UINT64_MAX) {
                timer.it_value.tv_sec = (time_t) (next_us / USEC_PER_SEC);
                timer.it_value.tv_nsec = (long) (next_us % USEC_PER_SEC) * 1000 + 1;
        }
        (void) timerfd_settime(vmm->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}
