/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small VMM that reports to tocsind. Its guest writes a Windows stop code into the Hyper-V crash
 * registers each time it boots; the VMM asks what to do, does it, and says so. Where there is no KVM the
 * guest is played.
 *
 *         cc vmm.c $(pkg-config --cflags --libs libtocsin) -o vmm
 *         ./vmm [NAME [SOCKET]]
 *
 * What to look at: vmm_panicked(), where a decision is asked for and carried out, and vmm_act(), where one
 * comes later. The rest is the least there is to a VMM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tocsin/vmm.h>
#include <unistd.h>

/* A guest that waits for an answer stands still: this long at most. */
#define ANSWER_MS 500
/* One that was told to wait is told more by then, in this example. */
#define PATIENCE_MS 10000
#define N_MSRS 6
#define MSR_P0 0x40000100U
#define MSR_CTL 0x40000105U

struct guest; /* KVM's, or one that is played */

/* Boots, and runs until the guest has written the control register; 0 or a negative errno. */
static int guest_run(struct guest *guest, struct tocsin_vmm_msr msrs[N_MSRS]);

struct vmm {
        struct tocsin_vmm *tocsin;
        const char *name;
        struct guest *guest;
        enum tocsin_action action; /* to be carried out */
        uint64_t incident;
        bool waits; /* for an act */
};

static void say(const struct vmm *vmm, const char *text) {
        printf("%s: %s\n", vmm->name, text);
        (void) fflush(stdout);
}

/* A decision that did not come as an answer. */
static void vmm_act(const struct tocsin_vmm_act *act, void *userdata) {
        struct vmm *vmm = userdata;

        vmm->action = act->action;
        vmm->incident = act->incident;
        vmm->waits = false;
        say(vmm, act->reason);
}

/* Serves the connection until the decision has come. */
static void vmm_wait(struct vmm *vmm) {
        struct pollfd fd;

        memset(&fd, 0, sizeof(fd));
        fd.fd = tocsin_vmm_get_fd(vmm->tocsin);
        fd.events = POLLIN;
        while (vmm->waits && poll(&fd, 1, PATIENCE_MS) > 0)
                (void) tocsin_vmm_dispatch(vmm->tocsin);
}

/* True if the guest is to boot again. */
static bool vmm_panicked(struct vmm *vmm, const struct tocsin_vmm_msr msrs[N_MSRS]) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, vmm->name);
        struct tocsin_vmm_decision decision;

        report.hyperv = msrs;
        report.n_hyperv = N_MSRS;
        report.action = TOCSIN_ACTION_PAUSE; /* if nobody answers */
        (void) tocsin_vmm_ask(vmm->tocsin, &report, ANSWER_MS, &decision);
        say(vmm, decision.reason);
        vmm->action = decision.action;
        vmm->incident = decision.incident;
        if (decision.fallback || decision.due_us > 0) {
                /* It stands still, or would go on with its own crash handling; more may come. */
                vmm->waits = true;
                vmm_wait(vmm);
        }

        if (vmm->action == TOCSIN_ACTION_RESET) {
                say(vmm, "resets");
                (void) tocsin_vmm_done(vmm->tocsin, vmm->name, vmm->incident, vmm->action, NULL);
                return true;
        }
        /* Whatever else may come (`can` is left at its default): a guest that has died and is left
         * alone, or paused, stands still for good. So this one ends. */
        say(vmm, "ends");
        (void) tocsin_vmm_done(vmm->tocsin, vmm->name, vmm->incident, vmm->action, NULL);
        return false;
}

/* A guest that is played */

static int guest_play(struct tocsin_vmm_msr msrs[N_MSRS]) {
        static const uint64_t values[N_MSRS] = { 0x9f, 3, 2, 1, 0, UINT64_C(1) << 63 };

        for (unsigned i = 0; i < N_MSRS; i++) {
                msrs[i].index = MSR_P0 + i;
                msrs[i].value = values[i];
        }
        return 0;
}

#if defined(__linux__) && defined(__x86_64__)
/* KVM */

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MEMORY_BYTES 0x1000U

struct guest {
        int kvm, vm, cpu;
        unsigned char *memory;
        struct kvm_run *run;
        size_t run_size;
};

static unsigned char *put_mov(unsigned char *code, unsigned char opcode, uint32_t value) {
        *code++ = 0x66; /* operand of 32 bits, in real mode */
        *code++ = opcode;
        memcpy(code, &value, sizeof(value));
        return code + sizeof(value);
}

/* mov ecx, MSR; mov eax, LOW; mov edx, HIGH; wrmsr; six times, then hlt */
static void guest_load(struct guest *guest) {
        struct tocsin_vmm_msr msrs[N_MSRS];
        unsigned char *code = guest->memory;

        (void) guest_play(msrs);
        for (unsigned i = 0; i < N_MSRS; i++) {
                code = put_mov(code, 0xb9, msrs[i].index);
                code = put_mov(code, 0xb8, (uint32_t) msrs[i].value);
                code = put_mov(code, 0xba, (uint32_t) (msrs[i].value >> 32));
                *code++ = 0x0f;
                *code++ = 0x30;
        }
        *code = 0xf4;
}

static void guest_close(struct guest *guest) {
        if (guest->run != MAP_FAILED)
                (void) munmap(guest->run, guest->run_size);
        if (guest->memory != MAP_FAILED)
                (void) munmap(guest->memory, MEMORY_BYTES);
        (void) close(guest->cpu);
        (void) close(guest->vm);
        (void) close(guest->kvm);
        free(guest);
}

/* An MSR that KVM does not know shall come to us. */
static int guest_want_msrs(struct guest *guest) {
        struct kvm_enable_cap cap;

        memset(&cap, 0, sizeof(cap));
        cap.cap = KVM_CAP_X86_USER_SPACE_MSR;
        cap.args[0] = KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL;
        return ioctl(guest->vm, KVM_ENABLE_CAP, &cap);
}

/* NULL: there is no KVM that can be used. */
static struct guest *guest_open(void) {
        struct guest *guest = calloc(1, sizeof(*guest));
        struct kvm_userspace_memory_region region;
        int size;

        if (!guest)
                return NULL;
        guest->run = MAP_FAILED;
        guest->vm = guest->cpu = -1;
        guest->memory =
                mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        if (guest->memory == MAP_FAILED || guest->kvm < 0)
                goto fail;
        guest->vm = ioctl(guest->kvm, KVM_CREATE_VM, 0);
        size = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
        if (guest->vm < 0 || size <= 0 || guest_want_msrs(guest) < 0)
                goto fail;
        guest->run_size = (size_t) size;
        memset(&region, 0, sizeof(region));
        region.memory_size = MEMORY_BYTES;
        region.userspace_addr = (uint64_t) (uintptr_t) guest->memory;
        if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
                goto fail;
        guest->cpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
        if (guest->cpu < 0)
                goto fail;
        guest->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
        if (guest->run == MAP_FAILED)
                goto fail;
        guest_load(guest);
        return guest;
fail:
        guest_close(guest);
        return NULL;
}

static int guest_boot(struct guest *guest) {
        struct kvm_sregs sregs;
        struct kvm_regs regs;

        /* KVM ends an instruction that came to us when it runs again: before, not after, the reset. */
        guest->run->immediate_exit = 1;
        (void) ioctl(guest->cpu, KVM_RUN, 0);
        guest->run->immediate_exit = 0;
        if (ioctl(guest->cpu, KVM_GET_SREGS, &sregs) < 0)
                return -errno;
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        memset(&regs, 0, sizeof(regs));
        regs.rflags = 2;
        if (ioctl(guest->cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(guest->cpu, KVM_SET_REGS, &regs) < 0)
                return -errno;
        return 0;
}

static int guest_run(struct guest *guest, struct tocsin_vmm_msr msrs[N_MSRS]) {
        int r;

        if (!guest)
                return guest_play(msrs);
        r = guest_boot(guest);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < N_MSRS; i++) {
                msrs[i].index = MSR_P0 + i;
                msrs[i].value = 0;
        }
        for (;;) {
                uint32_t index;

                if (ioctl(guest->cpu, KVM_RUN, 0) < 0)
                        return -errno;
                if (guest->run->exit_reason != KVM_EXIT_X86_WRMSR)
                        return -EIO; /* this guest does nothing else */
                index = guest->run->msr.index;
                if (index < MSR_P0 || index > MSR_CTL) {
                        guest->run->msr.error = 1;
                        continue;
                }
                msrs[index - MSR_P0].value = guest->run->msr.data;
                guest->run->msr.error = 0;
                if (index == MSR_CTL)
                        return 0;
        }
}
#else
struct guest {
        int nothing;
};

static struct guest *guest_open(void) {
        return NULL;
}

static void guest_close(struct guest *guest) {
        (void) guest;
}

static int guest_run(struct guest *guest, struct tocsin_vmm_msr msrs[N_MSRS]) {
        (void) guest;
        return guest_play(msrs);
}
#endif

int main(int argc, char **argv) {
        struct tocsin_vmm_options options;
        struct tocsin_vmm_machine machine;
        struct tocsin_vmm_msr msrs[N_MSRS];
        struct vmm vmm;
        int r;

        memset(&vmm, 0, sizeof(vmm));
        vmm.name = argc > 1 ? argv[1] : "example";
        vmm.guest = guest_open();
        say(&vmm, vmm.guest ? "a guest of KVM" : "no KVM: a guest that is played");

        memset(&options, 0, sizeof(options));
        options.size = sizeof(options);
        options.socket = argc > 2 ? argv[2] : NULL;
        options.act = vmm_act;
        options.userdata = &vmm;
        r = tocsin_vmm_new(&vmm.tocsin, &options);
        if (r < 0) {
                (void) fprintf(stderr, "%s\n", strerror(-r));
                return 1;
        }
        memset(&machine, 0, sizeof(machine));
        machine.size = sizeof(machine);
        machine.name = vmm.name;
        machine.version = "example 1";
        r = tocsin_vmm_register(vmm.tocsin, &machine);

        do {
                if (r == 0)
                        r = guest_run(vmm.guest, msrs);
        } while (r == 0 && vmm_panicked(&vmm, msrs));
        if (r < 0)
                (void) fprintf(stderr, "%s\n", strerror(-r));

        tocsin_vmm_free(vmm.tocsin);
        if (vmm.guest)
                guest_close(vmm.guest);
        return r < 0;
}
