/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sources: zipl and its stand-alone dump: s390-tools, include/boot/error.h (the numbers are ABI) and
 * zipl.conf(5) for 0x300. Linux: arch/s390/boot/als.c (0x8badcccc); arch/s390/kernel/early.c before
 * commit 98587c2d894c (Linux 5.2), address 0. QEMU's firmware, address 0: seen with 7.2. z/OS: IBM,
 * "z/OS MVS System Codes" (SA38-0665), "Wait state codes in z/Architecture mode", the table of wait
 * state codes and modules for the component, and the entries 007, 054, 074, 0B1 and 5C7.
 */
#include "policy/decode/s390-wait.h"

#include "policy/util/cleanup.h"

/* A Linux image is loaded here (arch/s390/boot/head.S); no code of its own lies below. */
#define S390_WAIT_LOWEST_TEXT 0x10000

static const struct {
        uint32_t code;
        const char *who, *text;
} s390_wait_codes[] = {
        { 0x0,
          "The firmware",
          "nothing to boot was found (or, before Linux 5.2, an early program check)" },
        { 0x300, "zipl", "the number in loadparm names no boot entry" },
        { 0x4500, "zipl", "I/O error: the boot device could not be enabled" },
        { 0x4501, "zipl", "I/O error: the boot device could not be disabled" },
        { 0x4502, "zipl", "I/O error: starting the subchannel failed" },
        { 0x4510, "zipl", "internal error: wrong type of boot" },
        { 0x4511, "zipl", "internal error" },
        { 0x4512, "zipl", "secure boot failed" },
        { 0x4520, "zipl", "no information of the operating system was found (os_info)" },
        { 0x4521, "zipl", "the information of the operating system fails its checksum (os_info)" },
        { 0x4522, "zipl", "the information of the operating system is too new (os_info)" },
        { 0x4523, "zipl", "kdump: no crashkernel memory is set aside" },
        { 0x4524, "zipl", "kdump: the hardware system area could not be copied" },
        { 0x4600, "The stand-alone dump", "the device is too small for the dump" },
        { 0x4601, "The stand-alone dump", "the device is not supported" },
        { 0x4602, "The stand-alone dump", "the layout of memory could not be told" },
        { 0x4603, "The stand-alone dump", "a device of the dump does not exist" },
        { 0x4604, "The stand-alone dump", "a device has no valid dump signature" },
        { 0x4605, "The stand-alone dump", "the time stamps of the devices differ" },
        { 0x4606, "The stand-alone dump", "multiple subchannel sets could not be enabled" },
        { 0x4607, "The stand-alone dump", "protected virtualization is not supported" },
        { 0x4608, "The stand-alone dump", "protected virtualization failed" },
        { 0x8badcccc, "Linux", "this kernel needs a newer machine (facilities are missing)" },
};

static const struct {
        unsigned code;
        const char *text;
} s390_wait_zos[] = {
        { 0x002, "I/O supervisor" },
        { 0x003, "IPL or I/O supervisor" },
        { 0x004, "I/O supervisor" },
        { 0x005, "IPL" },
        { 0x006, "IPL" },
        { 0x007, "console services: no console is available" },
        { 0x009, "nucleus initialization (NIP)" },
        { 0x00a, "IPL" },
        { 0x00b, "master scheduler" },
        { 0x00d, "master scheduler" },
        { 0x00e, "IPL" },
        { 0x014, "supervisor control" },
        { 0x017, "IPL" },
        { 0x019, "IPL" },
        { 0x01b, "recovery termination manager" },
        { 0x01c, "supervisor control" },
        { 0x020, "reconfiguration" },
        { 0x021, "I/O supervisor" },
        { 0x022, "I/O supervisor" },
        { 0x023, "system trace" },
        { 0x024, "machine check handler" },
        { 0x025, "IPL" },
        { 0x028, "I/O supervisor" },
        { 0x02e, "auxiliary storage manager" },
        { 0x030, "nucleus initialization (NIP)" },
        { 0x031, "I/O supervisor" },
        { 0x032, "nucleus initialization (NIP)" },
        { 0x033, "nucleus initialization (NIP)" },
        { 0x035, "I/O supervisor" },
        { 0x037, "system environmental recording" },
        { 0x038, "auxiliary storage manager" },
        { 0x039, "I/O supervisor" },
        { 0x03a, "contents supervision" },
        { 0x03b, "contents supervision" },
        { 0x03c, "auxiliary storage manager" },
        { 0x03d, "virtual storage manager" },
        { 0x03e, "auxiliary storage manager" },
        { 0x03f, "nucleus initialization (NIP)" },
        { 0x040, "nucleus initialization (NIP)" },
        { 0x044, "nucleus initialization (NIP)" },
        { 0x045, "recovery termination manager" },
        { 0x046, "nucleus initialization (NIP)" },
        { 0x04a, "nucleus initialization (NIP)" },
        { 0x050, "loadwait" },
        { 0x051, "alternate CPU recovery" },
        { 0x052, "alternate CPU recovery" },
        { 0x053, "I/O supervisor, IPL or NIP" },
        { 0x054, "IPL: a member of the nucleus could not be loaded" },
        { 0x055, "I/O supervisor or IPL" },
        { 0x059, "nucleus initialization (NIP)" },
        { 0x05c, "DFSMSdfp" },
        { 0x05d, "DFSMSdfp" },
        { 0x05e, "DFSMSdfp" },
        { 0x074, "IPL: a logic error" },
        { 0x0b1, "initialization: LOADxx, the I/O definition file or a device" },
        { 0x5c7, "loadwait: an error while the system was being stopped" },
};

/* z/OS: 0rrrrwww in the last word; the reason is 16, 12 or 8 bits of rrrr. */
static S390Wait s390_wait_get_zos(S390Psw psw) {
        S390Wait wait = {
                .kind = S390_WAIT_ZOS,
                .who = "z/OS",
                .code = psw.addr & 0xfff,
                .reason = (psw.addr >> 12) & 0xffff,
        };

        for (size_t i = 0; i < ELEMENTSOF(s390_wait_zos); i++)
                if (s390_wait_zos[i].code == wait.code)
                        wait.text = s390_wait_zos[i].text;
        return wait;
}

S390Wait s390_wait_get(S390Psw psw) {
        bool is_64bit = psw.mask & S390_PSW_EA;

        for (size_t i = 0; i < ELEMENTSOF(s390_wait_codes); i++)
                if (s390_wait_codes[i].code == psw.addr && (psw.addr > 0 || is_64bit))
                        return (S390Wait){
                                .kind = S390_WAIT_CODE,
                                .who = s390_wait_codes[i].who,
                                .text = s390_wait_codes[i].text,
                        };
        if (!is_64bit)
                return s390_wait_get_zos(psw);
        return (S390Wait){
                .kind = psw.addr < S390_WAIT_LOWEST_TEXT ? S390_WAIT_UNKNOWN : S390_WAIT_ADDRESS,
        };
}
