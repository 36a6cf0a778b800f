/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All keys in one file: what can be configured is to be seen at one place. */
#include "daemon/config/config-keys.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#include "daemon/source/vmm.h"
#include "policy/qapi/qmp-session.h"
#include "policy/util/glob.h"
#include "policy/util/name.h"

/* Room in sockaddr_un for attach.sock, the longest fixed name below it. */
#define RUNTIME_DIR_MAX 90
#define PATH_LENGTH_MAX (PATH_MAX - 1)

static const char *config_level_word(const ConfigKey *key, unsigned value) {
        /* in the order of syslog's numbers */
        static const char *const levels[] = { "emerg",   "alert",  "crit", "err",
                                              "warning", "notice", "info", "debug" };

        return value < ELEMENTSOF(levels) ? levels[value] : NULL;
}

static const char *config_mode_word(const ConfigKey *key, unsigned value) {
        return machine_mode_to_string((MachineMode) value);
}

static const char *config_kind_word(const ConfigKey *key, unsigned value) {
        return incident_kind_to_string((IncidentKind) value);
}

static const char *config_panic_type_word(const ConfigKey *key, unsigned value) {
        return guest_panic_information_type_to_string((GuestPanicInformationType) value);
}

static const char *config_s390_reason_word(const ConfigKey *key, unsigned value) {
        return s390_crash_reason_to_string((S390CrashReason) value);
}

static const char *config_recipient_word(const ConfigKey *key, unsigned value) {
        return memory_failure_recipient_to_string((MemoryFailureRecipient) value);
}

static const char *config_state_word(const ConfigKey *key, unsigned value) {
        return run_state_to_string((RunState) value);
}

static const char *config_moment_word(const ConfigKey *key, unsigned value) {
        static const char *const words[_NOTIFY_MOMENT_MAX] = {
                [NOTIFY_OPENED] = "opened",
                [NOTIFY_CLOSED] = "closed",
        };

        return value < ELEMENTSOF(words) ? words[value] : NULL;
}

static const char *config_evidence_word(const ConfigKey *key, unsigned value) {
        /* bit by bit as EvidenceKind; what can't be taken yet may not be asked for */
        static const char *const words[] = { "registers", "", "log", "memory" };

        return value < ELEMENTSOF(words) ? words[value] : NULL;
}

/* Whatever any kind allows; which of them fits a rule is known when the whole rule is. */
static const char *config_action_word(const ConfigKey *key, unsigned value) {
        return action_to_string((Action) value);
}

/* What the key of the action set that `argument` names allows. */
static const char *config_set_word(const ConfigKey *key, unsigned value) {
        const char *word = action_to_string((Action) value);

        if (word && !policy_key_allows((PolicyKey) key->argument, (Action) value))
                return "";
        return word;
}

static int config_parse_glob(const ConfigKey *key, const char *text, void *base) {
        char **field = (char **) (void *) ((char *) base + key->offset), *glob;
        int r;

        if (!glob_is_valid(text))
                return -EINVAL;
        r = name_escape_glob(text, &glob);
        if (r < 0)
                return r;
        free(*field);
        *field = glob;
        return 0;
}

static int config_expect_glob(const ConfigKey *key, Buffer *text) {
        return buffer_append_string(text, "a name or a pattern of *, ? and [a-z]");
}

static const ConfigType config_type_glob = {
        .shown = "GLOB",
        .parse = config_parse_glob,
        .expect = config_expect_glob,
};

/* The schema is the one list of events there is. */
static bool config_is_event(const char *name) {
        json_object *schema = json_tokener_parse(qapi_schema_text(QAPI_PROFILE_MACHINE));
        bool found = false;

        for (size_t i = 0; schema && !found && i < json_object_array_length(schema); i++) {
                json_object *entity = json_object_array_get_idx(schema, i), *member;

                found = json_object_object_get_ex(entity, "meta-type", &member) &&
                        strcmp(json_object_get_string(member), "event") == 0 &&
                        json_object_object_get_ex(entity, "name", &member) &&
                        strcmp(json_object_get_string(member), name) == 0;
        }
        json_object_put(schema);
        return found;
}

static int config_parse_events(const ConfigKey *key, const char *text, void *base) {
        char **field = (char **) (void *) ((char *) base + key->offset);
        _cleanup_(config_words_freep) char **words = NULL;
        size_t n = 0;
        int r;

        r = config_words_split(text, &words);
        if (r < 0)
                return r;
        for (; words[n]; n++)
                if (n == RULE_CANCEL_MAX || !config_is_event(words[n]))
                        return -EINVAL;
        for (size_t i = 0; i < RULE_CANCEL_MAX; i++)
                free(field[i]);
        memset(field, 0, (RULE_CANCEL_MAX + 1) * sizeof(*field));
        memcpy(field, words, n * sizeof(*field));
        words[0] = NULL;
        return 0;
}

static int config_expect_events(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text, "a list of at most %d QMP events such as RESET", RULE_CANCEL_MAX);
}

static const ConfigType config_type_events = {
        .shown = "EVENT,...",
        .parse = config_parse_events,
        .expect = config_expect_events,
        .empty_allowed = true,
};

#define DAEMON(member) .offset = offsetof(Config, member)
#define POLICY(member) .base = CONFIG_BASE_POLICY, .offset = offsetof(Policy, member)
#define GUEST(member) .offset = offsetof(ConfigGuest, member)
#define GUEST_SET(member) .set = offsetof(ConfigGuest, member)
#define RULE(member) .offset = offsetof(Rule, member)
#define PLUGIN(member) .offset = offsetof(PluginConfig, member)
#define NOTIFY(member) .offset = offsetof(NotifyConfig, member)
#define RULE_SET(member) .set = offsetof(Rule, member)
#define SECONDS(n) ((n) *USEC_PER_SEC)
#define HOURS(n) SECONDS((n) *UINT64_C(3600))
#define MIB(n) ((uint64_t) (n) << 20)

static const ConfigKey config_daemon_keys[] = {
        { "runtime-dir",
          &config_type_path,
          DAEMON(runtime_dir),
          .max = RUNTIME_DIR_MAX,
          .initial = "/run/tocsin",
          .doc = "Where the sockets are." },
        { "state-dir",
          &config_type_path,
          DAEMON(state_dir),
          .max = PATH_LENGTH_MAX,
          .initial = "/var/lib/tocsin",
          .doc = "Where incidents, events and evidence are kept." },
        { "log-level",
          &config_type_word,
          DAEMON(log_level),
          .word = config_level_word,
          .initial = "info",
          .doc = "The least important messages that are logged." },
        { "dry-run",
          &config_type_bool,
          POLICY(dry_run),
          .initial = "no",
          .doc = "Every machine is only observed, whatever its mode: what would have been done is "
                 "shown and recorded." },
        { "strict",
          &config_type_bool,
          DAEMON(strict),
          .initial = "no",
          .doc = "Refuse to start on a configuration with any error. Otherwise broken [guest] and "
                 "[rule] sections and values are left out, and tocsind starts on the rest." },
        { "heartbeat",
          &config_type_time,
          DAEMON(heartbeat_us),
          .min = SECONDS(1),
          .max = USEC_INFINITY,
          .initial = "30s",
          .doc = "A machine that said nothing for so long is asked for its state. infinity: never, "
                 "which saves the one periodic wakeup." },
        { "silent-after",
          &config_type_time,
          DAEMON(silent_us),
          .min = SECONDS(5),
          .max = HOURS(24),
          .initial = "60s",
          .doc = "A machine that lives and gave no answer for so long is unresponsive." },
        { "command-group",
          &config_type_name,
          DAEMON(command_group),
          .initial = "tocsin",
          .doc = "Members may command guests. They are as powerful as root." },
        { "monitor-group",
          &config_type_name,
          DAEMON(monitor_group),
          .initial = "tocsin-monitor",
          .doc = "Members may ask and listen." },
        { "clients-per-uid",
          &config_type_count,
          DAEMON(clients_per_uid),
          .min = 1,
          .max = 100000,
          .initial = "2000",
          .doc = "Most connections of one user to all sockets together." },
        { "client-queue",
          &config_type_size,
          DAEMON(client_queue),
          .min = 64 * 1024,
          .max = MIB(256),
          .initial = "1M",
          .doc = "Most bytes that wait for a client which reads slowly. Beyond it the client is "
                 "told which events it lost; it can replay them." },
        { "reset-guard",
          &config_type_limit,
          POLICY(guard_count),
          .max = 1000000,
          .second = offsetof(Policy, guard_time_us),
          .initial = "5/10min",
          .doc = "A machine is reset at most so many times within the time, whatever rules say; "
                 "then it is paused." },
        { "action-cap",
          &config_type_limit,
          POLICY(cap_machines),
          .max = 1000000,
          .second = offsetof(Policy, cap_time_us),
          .initial = "50/1min",
          .doc = "At most so many machines are acted on within the time. Those beyond wait for "
                 "their turn: one fault that hits them all does not reset them all at once." },
        { "incident-rate",
          &config_type_count,
          POLICY(incident_rate),
          .min = 1,
          .max = 10000,
          .initial = "10",
          .doc = "Incidents of one machine in a second; what goes beyond is counted only." },
};

static const ConfigKey config_discover_keys[] = {
        { "qmp-glob",
          &config_type_paths,
          DAEMON(globs),
          .max = PATH_LENGTH_MAX,
          .initial = "",
          .doc = "Patterns of QMP sockets to attach to as they appear, such as /run/vm/*/qmp.sock. "
                 "Each must be a monitor of its own: QEMU serves one client a socket." },
};

static const ConfigKey config_attach_keys[] = {
        { "users",
          &config_type_list,
          DAEMON(attach_users),
          .initial = "root libvirt-qemu",
          .doc = "Users, by name or number, whose QEMUs may call attach.sock." },
};

static int config_parse_allow(const ConfigKey *key, const char *text, void *base) {
        _cleanup_(config_words_freep) char **words = NULL;
        int r;

        r = config_words_split(text, &words);
        for (size_t i = 0; r == 0 && words[i]; i++)
                if (!vmm_allow_is_valid(words[i]))
                        return -EINVAL;
        return r == 0 ? config_type_list.parse(key, text, base) : r;
}

static int config_expect_allow(const ConfigKey *key, Buffer *text) {
        return buffer_append_string(text, "a list of USER:GLOB, the user by name or number");
}

static const ConfigType config_type_allow = {
        .shown = "USER:GLOB,...",
        .parse = config_parse_allow,
        .expect = config_expect_allow,
        .empty_allowed = true,
};

static const ConfigKey config_vmm_keys[] = {
        { "allow",
          &config_type_allow,
          DAEMON(vmm_allow),
          .initial = "root:*",
          .doc = "Who may report over vmm.sock, and for which machines: users by name or number, each "
                 "with a pattern of machine names, such as 107:db-*. Nobody else is let in." },
};

#define SET_KEY(key_name, key_id, key_doc)                                                          \
        {                                                                                           \
                .name = key_name, .type = &config_type_word, .word = config_set_word,               \
                .argument = key_id, GUEST(policy.actions.keys[key_id].action),                      \
                GUEST_SET(policy.actions.keys[key_id].set),                                         \
                .origin = offsetof(ConfigGuest, policy.actions.keys[key_id].origin), .doc = key_doc \
        }

static const ConfigKey config_guest_keys[] = {
        { "qmp",
          &config_type_path,
          GUEST(qmp),
          .max = PATH_LENGTH_MAX,
          .doc = "The QMP socket of this guest, a monitor of its own. Only where GLOB is a name." },
        { "exclusive",
          &config_type_bool,
          GUEST(exclusive),
          .initial = "no",
          .doc = "Yes, nobody else uses the socket named in qmp=, although it lies where libvirt or "
                 "Proxmox keep theirs." },
        { "mode",
          &config_type_word,
          GUEST(policy.mode),
          GUEST_SET(policy.mode_set),
          .word = config_mode_word,
          .doc = "observe (the default): QEMU acts, and tocsin says what it would have done. "
                 "enforce: tocsin sets the keys below that are there, and rules act." },
        { "adopt",
          &config_type_bool,
          GUEST(policy.adopt),
          GUEST_SET(policy.adopt_set),
          .doc = "Decide about a guest that was found stopped, in a run never seen before. "
                 "Otherwise it is recorded as found: somebody may be debugging it." },
        SET_KEY("watchdog", POLICY_KEY_WATCHDOG, "What to do when a watchdog of the guest expires."),
        SET_KEY("panic", POLICY_KEY_PANIC, "What to do when the guest panics."),
        SET_KEY("memory-failure",
                POLICY_KEY_MEMORY_FAILURE,
                "What to do about a memory failure that nobody has decided on yet."),
        SET_KEY("reboot", POLICY_KEY_REBOOT, "What a reboot of the guest becomes."),
        SET_KEY("shutdown", POLICY_KEY_SHUTDOWN, "What a shutdown of the guest becomes."),
        SET_KEY("notify-vmexit",
                POLICY_KEY_NOTIFY_VMEXIT,
                "What to do when the guest opens no event window for too long."),
        { "plugins",
          &config_type_list,
          GUEST(policy.plugins),
          .doc = "Names of [plugin] sections: who is asked about an incident after the rules, one after "
                 "the other. Each may change what was decided before it." },
        { "system-map",
          &config_type_path,
          GUEST(policy.system_map),
          .max = PATH_LENGTH_MAX,
          .doc = "The System.map of the guest's kernel. tocsinctl incidents show opens it, and says in "
                 "which function a crash happened; a kernel that moves itself at boot is not found in "
                 "it." },
};

#define RANGE_KEY(key_name, member, key_doc)                                                       \
        {                                                                                          \
                .name = key_name, .type = &config_type_range, RULE(member.first),                  \
                .second = offsetof(Rule, member.last), RULE_SET(member.set), .doc = key_doc        \
        }

static const ConfigKey config_rule_keys[] = {
        { "kind",
          &config_type_word,
          RULE(kind),
          RULE_SET(kind_set),
          .word = config_kind_word,
          .doc = "Kind of the incident." },
        { "machine", &config_type_glob, RULE(machine), .doc = "Name of the machine." },
        { "panic-type",
          &config_type_word,
          RULE(panic_type),
          RULE_SET(panic_type_set),
          .word = config_panic_type_word,
          .doc = "Type of the panic information." },
        RANGE_KEY("hyperv-arg1", hyperv_arg[0], "First of the five Hyper-V crash registers."),
        RANGE_KEY("hyperv-arg2", hyperv_arg[1], "Second of them."),
        RANGE_KEY("hyperv-arg3", hyperv_arg[2], "Third of them."),
        RANGE_KEY("hyperv-arg4", hyperv_arg[3], "Fourth of them."),
        RANGE_KEY("hyperv-arg5", hyperv_arg[4], "Fifth of them."),
        RANGE_KEY("stop-code", stop_code, "Stop code of Windows, decoded from the registers."),
        { "s390-reason",
          &config_type_word,
          RULE(s390_reason),
          RULE_SET(s390_reason_set),
          .word = config_s390_reason_word,
          .doc = "Reason of an s390 crash." },
        RANGE_KEY("psw-addr", psw_addr, "Address in the PSW of an s390 crash."),
        { "recipient",
          &config_type_word,
          RULE(recipient),
          RULE_SET(recipient_set),
          .word = config_recipient_word,
          .doc = "Whom a memory failure hit." },
        { "action-required",
          &config_type_tristate,
          RULE(action_required),
          .doc = "Whether a memory failure wants action at once." },
        { "recursive",
          &config_type_tristate,
          RULE(recursive),
          .doc = "Whether a memory failure came while one was being handled." },
        { "state",
          &config_type_word,
          RULE(state),
          RULE_SET(state_set),
          .word = config_state_word,
          .doc = "Run state of the machine." },
        { "action",
          &config_type_word,
          RULE(action),
          RULE_SET(action_set),
          .word = config_action_word,
          .doc = "What to do. A rule without it leaves the machine to its action set." },
        { "limit",
          &config_type_limit,
          RULE(limit_count),
          .second = offsetof(Rule, limit_time_us),
          .max = 1000000,
          .doc = "At most so many actions within the time on one machine, then what then= "
                 "says." },
        { "then",
          &config_type_word,
          RULE(then),
          RULE_SET(then_set),
          .word = config_action_word,
          .doc = "What to do when the limit is reached. Without it: pause." },
        { "delay",
          &config_type_time,
          RULE(delay_us),
          .min = SECONDS(1),
          .max = HOURS(24),
          .doc = "Wait so long before the action: the guest may help itself. With "
                 "kind=crashloaded every action but none needs it: the guest's own dump must not "
                 "be cut short." },
        { "cancel-on",
          &config_type_events,
          RULE(cancel_on),
          .doc = "Events that end the delay without any action, such as RESET, GUEST_CRASHLOADED. "
                 "RESET where nothing is named." },
        { "evidence",
          &config_type_words,
          RULE(evidence),
          .word = config_evidence_word,
          .doc = "What to keep of the incident before the action, as [evidence] allows. registers: "
                 "of every CPU, as text. memory: a dump of the guest's memory, for crash(8). log: the "
                 "kernel's log of a Linux guest that offers vmcoreinfo, by makedumpfile out of such a "
                 "dump, which is not kept unless memory is named, too; the line in which the kernel says "
                 "why it panicked becomes the incident's headline." },
};

static const ConfigKey config_plugin_keys[] = {
        { "module",
          &config_type_path,
          PLUGIN(module),
          .max = PATH_LENGTH_MAX,
          .doc = "A plugin in C: a shared object." },
        { "program",
          &config_type_path,
          PLUGIN(program),
          .max = PATH_LENGTH_MAX,
          .doc = "A plugin in any other language: a program that reads and writes lines of JSON." },
        { "deadline",
          &config_type_time,
          PLUGIN(deadline_us),
          .min = USEC_PER_MSEC,
          .max = SECONDS(10),
          .initial = "50ms",
          .doc = "A decision that takes longer is not waited for, and the process is ended and started "
                 "again." },
        { "memory",
          &config_type_size,
          PLUGIN(memory),
          .min = MIB(16),
          .max = MIB(1 << 26),
          .initial = "256M",
          .doc = "Most bytes of address space of its process." },
        { "failures",
          &config_type_limit,
          PLUGIN(failures),
          .max = 100,
          .second = offsetof(PluginConfig, failures_us),
          .initial = "5/10min",
          .doc = "A plugin that fails so often within the time is set aside until the configuration is "
                 "read again." },
        { "read",
          &config_type_paths,
          PLUGIN(reads),
          .max = PATH_LENGTH_MAX,
          .doc = "Files and folders it may read, besides its own folder, /usr, /etc and the like." },
        { "write",
          &config_type_paths,
          PLUGIN(writes),
          .max = PATH_LENGTH_MAX,
          .doc = "Files and folders it may write to. Without it: none." },
};

static const ConfigKey config_notify_keys[] = {
        { "program",
          &config_type_path,
          NOTIFY(program),
          .max = PATH_LENGTH_MAX,
          .doc = "What is run. It and the folders above it must be root's, and nobody else may write to "
                 "them." },
        { "on",
          &config_type_words,
          NOTIFY(on),
          .word = config_moment_word,
          .initial = "opened",
          .doc = "opened: when it is known what is to be done, before it is. closed: when the record is "
                 "complete." },
        { "kinds",
          &config_type_words,
          NOTIFY(kinds),
          .word = config_kind_word,
          .doc = "Kinds of incidents. Without it: all." },
        { "machine",
          &config_type_glob,
          NOTIFY(machine),
          .doc = "Name of the machine. Without it: every machine." },
        { "user",
          &config_type_name,
          NOTIFY(user),
          .initial = "tocsin",
          .doc = "Who runs it. Where tocsin-kernel was not started as root: who started it, whatever "
                 "this says." },
        { "deadline",
          &config_type_time,
          NOTIFY(deadline_us),
          .min = SECONDS(1),
          .max = SECONDS(600),
          .initial = "30s",
          .doc = "It and what it has started are ended when they take longer." },
};

static const ConfigKey config_store_keys[] = {
        { "incidents",
          &config_type_number,
          DAEMON(store.incidents),
          .min = 100,
          .max = 100000000,
          .initial = "100000",
          .doc = "Most incidents kept." },
        { "incidents-per-machine",
          &config_type_number,
          DAEMON(store.incidents_per_machine),
          .min = 10,
          .max = 100000000,
          .initial = "10000",
          .doc = "Most incidents kept of one machine." },
        { "events",
          &config_type_number,
          DAEMON(store.events),
          .min = 1000,
          .max = 1000000000,
          .initial = "1000000",
          .doc = "Most events kept for clients that were away." },
        { "events-per-machine",
          &config_type_number,
          DAEMON(store.events_per_machine),
          .min = 100,
          .max = 1000000000,
          .initial = "100000",
          .doc = "Most events kept of one machine." },
        { "size",
          &config_type_size,
          DAEMON(store.bytes),
          .min = MIB(4),
          .max = MIB(1 << 20),
          .initial = "512M",
          .doc = "Size that the database stays below." },
        { "age",
          &config_type_time,
          DAEMON(store.age_us),
          .min = HOURS(1),
          .max = USEC_INFINITY,
          .initial = "90d",
          .doc = "Older incidents and events are dropped." },
        { "queue",
          &config_type_size,
          DAEMON(store.queue_bytes),
          .min = MIB(1),
          .max = MIB(1024),
          .initial = "16M",
          .doc = "Most bytes that wait for a slow disk; beyond it records are "
                 "lost, which is counted and reported." },
};

static const ConfigKey config_evidence_keys[] = {
        { "dumps-per-machine",
          &config_type_number,
          DAEMON(evidence.room.dumps),
          .min = 1,
          .max = 1000000,
          .initial = "3",
          .doc = "Most memory dumps kept of one machine; its oldest one makes place for a new one. A "
                 "crash that repeats shows nothing new in the fourth." },
        { "size-per-machine",
          &config_type_size,
          DAEMON(evidence.room.machine_bytes),
          .min = MIB(1),
          .max = MIB(1 << 30),
          .initial = "64G",
          .doc = "Most bytes of the dumps of one machine, and so of one dump. Dumps are compressed, and "
                 "pages of zeros take nothing." },
        { "size",
          &config_type_size,
          DAEMON(evidence.room.total_bytes),
          .min = MIB(1),
          .max = MIB(1 << 30),
          .initial = "256G",
          .doc = "Most bytes of the dumps of all machines. No machine's dump makes place for another "
                 "machine's: beyond this none is taken." },
        { "keep-free",
          &config_type_size,
          DAEMON(evidence.room.free_bytes),
          .max = MIB(1 << 30),
          .initial = "4G",
          .doc = "So much stays free on the file system of STATE-DIR, whatever the other limits say: the "
                 "record is there too." },
        { "deadline",
          &config_type_time,
          DAEMON(evidence.deadline_us),
          .min = SECONDS(1),
          .max = HOURS(24),
          .initial = "10min",
          .doc = "A dump that takes longer is abandoned, and the action goes ahead: the guest stands "
                 "still meanwhile. QEMU compresses some 100 MB a second." },
        { "wait",
          &config_type_time,
          DAEMON(evidence.wait_us),
          .min = SECONDS(1),
          .max = HOURS(24),
          .initial = "10min",
          .doc = "One dump is taken at a time, in the order the incidents came. A machine that waits "
                 "longer for its turn goes without." },
};

#define KEYS(table) .keys = table, .n_keys = ELEMENTSOF(table)

const ConfigSectionKeys config_sections[_CONFIG_SECTION_MAX] = {
        [CONFIG_SECTION_DAEMON] = { "daemon", NULL, "The daemon itself.", KEYS(config_daemon_keys) },
        [CONFIG_SECTION_DISCOVER] = { "discover",
                                      NULL,
                                      "Guests that are found by their sockets.",
                                      KEYS(config_discover_keys) },
        [CONFIG_SECTION_ATTACH] = { "attach",
                                    NULL,
                                    "Guests that call attach.sock.",
                                    KEYS(config_attach_keys) },
        [CONFIG_SECTION_VMM] = { "vmm", NULL, "VMMs that report over vmm.sock.", KEYS(config_vmm_keys) },
        [CONFIG_SECTION_GUEST] = { "guest",
                                   "GLOB",
                                   "Guests whose name matches GLOB, or the one of this name. A "
                                   "guest takes every section that matches, in the order of the "
                                   "files; the later key wins. A key that is not there is left to "
                                   "QEMU.",
                                   KEYS(config_guest_keys) },
        [CONFIG_SECTION_RULE] = { "rule",
                                  "NAME",
                                  "A rule. Rules are asked in the order of the files, and the "
                                  "first that matches decides; a match key that is not there "
                                  "matches everything. Rules act on guests in mode enforce.",
                                  KEYS(config_rule_keys) },
        [CONFIG_SECTION_PLUGIN] = { "plugin",
                                    "NAME",
                                    "A plugin, which runs in a process of its own with no privilege "
                                    "and no network, and is asked by the guests whose plugins= name "
                                    "it. What stands in [plugin NAME options] is the plugin's: "
                                    "tocsinctl plugins shows what there is.",
                                    KEYS(config_plugin_keys) },
        [CONFIG_SECTION_NOTIFY] = { "notify",
                                    "NAME",
                                    "A program that is told of incidents: the record, one line of JSON, "
                                    "is its standard input. What it prints becomes a step of the "
                                    "record. Nothing waits for it.",
                                    KEYS(config_notify_keys) },
        [CONFIG_SECTION_STORE] = { "store",
                                   NULL,
                                   "The record, in STATE-DIR/tocsin.db.",
                                   KEYS(config_store_keys) },
        [CONFIG_SECTION_EVIDENCE] = { "evidence",
                                      NULL,
                                      "What is kept of incidents besides the record, in "
                                      "STATE-DIR/evidence/INCIDENT, for as long as the record.",
                                      KEYS(config_evidence_keys) },
};
