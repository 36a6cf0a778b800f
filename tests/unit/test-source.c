/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel says, as bytes; what the real one says is in tests/kernel/test-sources.py. */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>

#include "daemon/kernel/holders.h"
#include "daemon/source/proc-event.h"
#include "daemon/source/uevent.h"
#include "daemon/source/watchdog-device.h"
#include "tests/unit/harness.h"

#define KVM_UEVENT(event, pid)                                                                               \
        "change@/devices/virtual/misc/kvm\0ACTION=change\0SUBSYSTEM=misc\0CREATED=28\0COUNT=1\0EVENT=" event \
        "\0PID=" pid "\0DEVNAME=kvm\0SEQNUM=882"

static int parse_guest(const char *data, size_t size, UeventGuest *what, pid_t *tid) {
        Uevent uevent;
        int r = uevent_parse(data, size, &uevent);

        return r < 0 ? r : uevent_read_guest(&uevent, what, tid);
}

static void test_kvm_guest(void) {
        static const char created[] = KVM_UEVENT("create", "21140"),
                          gone[] = KVM_UEVENT("destroy", "7"), other[] = KVM_UEVENT("resize", "7"),
                          zero[] = KVM_UEVENT("create", "0"),
                          long_pid[] = KVM_UEVENT("create", "21474836480");
        UeventGuest what;
        pid_t tid;

        CU_ASSERT_EQUAL(parse_guest(created, sizeof(created), &what, &tid), 0);
        CU_ASSERT_EQUAL(what, UEVENT_GUEST_CREATED);
        CU_ASSERT_EQUAL(tid, 21140);
        CU_ASSERT_EQUAL(parse_guest(gone, sizeof(gone), &what, &tid), 0);
        CU_ASSERT_EQUAL(what, UEVENT_GUEST_DESTROYED);
        CU_ASSERT_EQUAL(parse_guest(other, sizeof(other), &what, &tid), -ENOENT);
        CU_ASSERT_EQUAL(parse_guest(zero, sizeof(zero), &what, &tid), -ENOENT);
        CU_ASSERT_EQUAL(parse_guest(long_pid, sizeof(long_pid), &what, &tid), -ENOENT);
        CU_ASSERT_EQUAL(parse_guest(created, sizeof(created) - 1, &what, &tid), -EBADMSG);
}

static void test_not_the_kernels(void) {
        static const char udev[] = "libudev\0\xfe\xed\xca\xfe",
                          synthetic[] =
                                  "change@/devices/virtual/misc/kvm\0ACTION=change\0SUBSYSTEM=misc\0"
                                  "SYNTH_UUID=0\0SYNTH_ARG_EVENT=create\0SYNTH_ARG_PID=1\0DEVNAME=kvm";
        UeventGuest what;
        pid_t tid;

        CU_ASSERT_EQUAL(parse_guest(udev, sizeof(udev), &what, &tid), -EBADMSG);
        CU_ASSERT_EQUAL(parse_guest(synthetic, sizeof(synthetic), &what, &tid), -ENOENT);
}

typedef struct Message {
        struct nlmsghdr header;
        struct cn_msg message;
        char event[sizeof(struct proc_event)];
} Message;

static Message message_exit(pid_t pid, pid_t tgid, unsigned status) {
        struct proc_event event = {
                .event_data.exit = { .process_pid = pid, .process_tgid = tgid, .exit_code = status }
        };
        Message m = { .header = { .nlmsg_len = sizeof(m) },
                      .message = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(event) } };

        *(unsigned *) &event.what = 0x80000000U;
        memcpy(m.event, &event, sizeof(event));
        return m;
}

static void test_deaths(void) {
        Message m = message_exit(22304, 22304, 7);
        pid_t died;
        int status;

        CU_ASSERT_EQUAL(proc_event_parse(&m, sizeof(m), &died, &status), 0);
        CU_ASSERT_EQUAL(died, 22304);
        CU_ASSERT_EQUAL(status, 7);
        CU_ASSERT_EQUAL(proc_event_parse(&m, sizeof(m) / 2, &died, &status), -EBADMSG);
        m.message.id.idx++;
        CU_ASSERT_EQUAL(proc_event_parse(&m, sizeof(m), &died, &status), -EBADMSG);
        m = message_exit(180, 174, 7);
        CU_ASSERT_EQUAL(proc_event_parse(&m, sizeof(m), &died, &status), 0);
        CU_ASSERT_EQUAL(died, 0);
        m = message_exit(180, 180, 7);
        m.message.len = UINT16_MAX;
        CU_ASSERT_EQUAL(proc_event_parse(&m, sizeof(m), &died, &status), -EBADMSG);
}

static void take_holder(const Holder *holder, void *userdata) {
        char *text = userdata;

        (void) snprintf(text + strlen(text), 100, "%d=%s=%s;", holder->pid, holder->target, holder->name);
}

static void test_holders(void) {
        char text[] =
                "12\t/dev/watchdog\twatch dog\n0\t/dev/x\ty\n13\tno name\n\n14\t/dev/watchdog1\t\n";
        char seen[256] = "";

        holders_parse(text, take_holder, seen);
        CU_ASSERT_STRING_EQUAL(seen, "12=/dev/watchdog=watch dog;14=/dev/watchdog1=;");
}

static void test_watchdog_numbers(void) {
        uint64_t value = 0;

        CU_ASSERT_EQUAL(watchdog_device_parse("32", &value), 0);
        CU_ASSERT_EQUAL(value, 32);
        CU_ASSERT_EQUAL(watchdog_device_parse("0x8180", &value), 0);
        CU_ASSERT_EQUAL(value, 0x8180);
        CU_ASSERT_EQUAL(watchdog_device_parse("", &value), -EINVAL);
        CU_ASSERT_EQUAL(watchdog_device_parse("-1", &value), -EINVAL);
        CU_ASSERT_EQUAL(watchdog_device_parse("10 s", &value), -EINVAL);
}

TEST_MAIN("source",
          { "KVM guests come and go", test_kvm_guest },
          { "what the kernel did not say", test_not_the_kernels },
          { "deaths", test_deaths },
          { "holders", test_holders },
          { "numbers of a watchdog", test_watchdog_numbers })
