/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server's side of a QMP connection, with a table of commands of our own in place of the
 * generated one, whose handlers are the daemon's. */
#include <errno.h>
#include <stdlib.h>

#include "policy/qapi/json.h"
#include "policy/qapi/qmp-session.h"
#include "qapi-commands.h"
#include "qapi-types.h"
#include "tests/unit/harness.h"
#include "tocsin-version.h"

/* What the session told and asked its owner. */
typedef struct SessionOwner {
        QmpSession *session;
        Buffer out;
        QmpCall *waiting; /* of the command "wait" */
        unsigned n_negotiated, n_answered;
        bool free_when_answered;
} SessionOwner;

static void session_marshal_capabilities(QmpCall *call, json_object *arguments) {
        _cleanup_(qmp_capabilities_arg_freep) QmpCapabilitiesArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (qmp_capabilities_arg_from_json(arguments, &arg, &error) == 0)
                qmp_qmp_capabilities(call, arg);
        else
                qmp_call_fail(call, error.class, "%s", error.desc);
        qapi_error_deinit(&error);
}

static void session_marshal_nothing(QmpCall *call, json_object *arguments) {
        qmp_call_return(call, NULL);
}

static void session_marshal_echo(QmpCall *call, json_object *arguments) {
        qmp_call_return(call, json_object_get(arguments));
}

static void session_marshal_wait(QmpCall *call, json_object *arguments) {
        SessionOwner *owner = qmp_call_get_userdata(call);

        owner->waiting = call;
}

static const QmpCommand session_commands[] = {
        { "qmp_capabilities", true, session_marshal_capabilities },
        { "query-name", true, session_marshal_nothing },
        { "echo", true, session_marshal_echo },
        { "wait", true, session_marshal_wait },
        { "secret", true, session_marshal_nothing },
};

const QmpCommand *qmp_command_find(QapiProfile profile, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(session_commands); i++)
                if (strcmp(session_commands[i].name, name) == 0)
                        return &session_commands[i];
        return NULL;
}

static const char *session_refuse(const QmpCommand *command, void *userdata) {
        CU_ASSERT_STRING_NOT_EQUAL(command->name, "qmp_capabilities");
        return strcmp(command->name, "secret") == 0 ? "not you" : NULL;
}

static void session_negotiated(void *userdata) {
        SessionOwner *owner = userdata;

        /* the reply is there already */
        CU_ASSERT(buffer_length(&owner->out) > 0);
        owner->n_negotiated++;
}

static void session_answered(void *userdata) {
        SessionOwner *owner = userdata;

        owner->n_answered++;
        if (owner->free_when_answered)
                owner->session = qmp_session_free(owner->session);
}

static const QmpSessionOps session_ops = {
        .refuse = session_refuse,
        .negotiated = session_negotiated,
        .answered = session_answered,
};

static void session_owner_init(SessionOwner *owner) {
        *owner = (SessionOwner){};
        CU_ASSERT_EQUAL_FATAL(qmp_session_new(&owner->session,
                                              QAPI_PROFILE_MACHINE,
                                              &session_ops,
                                              &owner->out,
                                              owner),
                              0);
}

static void session_owner_deinit(SessionOwner *owner) {
        qmp_session_free(owner->session);
        buffer_deinit(&owner->out);
}

/* What the session wrote since the last look. */
static void session_expect(SessionOwner *owner, const char *expected) {
        _cleanup_free_ char *got = buffer_take_string(&owner->out);

        CU_ASSERT_STRING_EQUAL(got, expected);
        if (strcmp(got, expected) != 0)
                fprintf(stderr, "%s instead of\n%s", got, expected);
}

static void session_feed(SessionOwner *owner, const char *input) {
        size_t used = 0;

        CU_ASSERT_EQUAL(qmp_session_feed(owner->session, input, strlen(input), &used), 0);
        CU_ASSERT_EQUAL(used, strlen(input));
}

static void session_check(SessionOwner *owner, const char *input, const char *expected) {
        session_feed(owner, input);
        session_expect(owner, expected);
}

static void session_negotiate(SessionOwner *owner) {
        session_check(owner, "{'execute':'qmp_capabilities'}", "{\"return\": {}}\r\n");
}

#define ERROR_REPLY(class, desc)                                                                   \
        "{\"error\": {\"class\": \"" class "\", \"desc\": \"" desc "\"}}\r\n"
#define GENERIC(desc) ERROR_REPLY("GenericError", desc)
#define NOT_FOUND(desc) ERROR_REPLY("CommandNotFound", desc)

static void test_greeting(void) {
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        CU_ASSERT_EQUAL(qmp_session_greet(owner.session), 0);
        session_expect(&owner,
                       "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, "
                       "\"package\": \"tocsin " TOCSIN_VERSION "\"}, \"capabilities\": []}}\r\n");
}

static void test_negotiation(void) {
        static const char expecting[] = NOT_FOUND(
                "Expecting capabilities negotiation with 'qmp_capabilities'");
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        session_check(&owner, "{'execute':'query-name'}", expecting);
        session_check(&owner, "{'execute':'bogus'}", expecting);
        session_check(&owner,
                      "{'execute':'bogus','arguments':1}",
                      GENERIC("QMP input member 'arguments' must be an object"));
        session_check(&owner, "[]", GENERIC("QMP input must be a JSON object"));
        session_check(&owner,
                      "{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}",
                      GENERIC("Capability oob not available"));
        session_check(&owner,
                      "{'execute':'qmp_capabilities','arguments':{'enable':['bogus']}}",
                      GENERIC("Parameter 'null' does not accept value 'bogus'"));
        CU_ASSERT_FALSE(qmp_session_is_negotiated(owner.session));
        CU_ASSERT_EQUAL(owner.n_negotiated, 0);

        session_check(&owner,
                      "{'execute':'qmp_capabilities','arguments':{'enable':[]},'id':1}",
                      "{\"return\": {}, \"id\": 1}\r\n");
        CU_ASSERT_TRUE(qmp_session_is_negotiated(owner.session));
        CU_ASSERT_EQUAL(owner.n_negotiated, 1);
        session_check(&owner,
                      "{'execute':'qmp_capabilities'}",
                      NOT_FOUND("Capabilities negotiation is already complete, command ignored"));
        CU_ASSERT_EQUAL(owner.n_negotiated, 1);
        session_check(&owner, "{'execute':'query-name'}", "{\"return\": {}}\r\n");
}

static void test_shape(void) {
        static const char *const cases[][2] = {
                { "{}", GENERIC("QMP input lacks member 'execute'") },
                { "'s'", GENERIC("QMP input must be a JSON object") },
                { "null ", GENERIC("QMP input must be a JSON object") },
                { "{'execute':1}", GENERIC("QMP input member 'execute' must be a string") },
                { "{'execute':null}", GENERIC("QMP input member 'execute' must be a string") },
                { "{'arguments':null}", GENERIC("QMP input member 'arguments' must be an object") },
                { "{'arguments':1,'execute':1}",
                  GENERIC("QMP input member 'execute' must be a string") },
                { "{'foo':1,'arguments':1}",
                  GENERIC("QMP input member 'arguments' must be an object") },
                { "{'execute':1,'exec-oob':'x'}",
                  GENERIC("QMP input member 'exec-oob' is unexpected") },
                { "{'execute':'bogus','\\u0000':1}",
                  GENERIC("QMP input member '\\u0000' is unexpected") },
                { "{'foo':1}", GENERIC("QMP input member 'foo' is unexpected") },
                { "{'execute':'bogus'}", NOT_FOUND("The command bogus has not been found") },
                { "{'execute':''}", NOT_FOUND("The command  has not been found") },
                { "{'execute':'query-name\\u0000'}",
                  NOT_FOUND("The command query-name\\u0000 has not been found") },
                { "{'execute':'%s%n\\u00e9'}",
                  NOT_FOUND("The command %s%n\\u00E9 has not been found") },
                { "{'execute':'secret'}", GENERIC("not you") },
                { "{'execute':'echo','arguments':{}}", "{\"return\": {}}\r\n" },
                { "{'execute':'echo','arguments':{'a':[1]}}", "{\"return\": {\"a\": [1]}}\r\n" },
                { "{'a':1,'a':2}", GENERIC("JSON parse error, duplicate key") },
                { "1e400 ", GENERIC("QMP input must be a JSON object") },
                { "\xFF", GENERIC("JSON parse error, stray '\\uFFFD'") },
        };
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        session_negotiate(&owner);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                session_check(&owner, cases[i][0], cases[i][1]);
}

static void test_ids(void) {
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        session_negotiate(&owner);
        session_check(&owner,
                      "{'id':null,'execute':'query-name'}",
                      "{\"return\": {}, \"id\": null}\r\n");
        session_check(&owner,
                      "{'id':{'a':[18446744073709551615,0.1,'\\'']},'execute':'query-name'}",
                      "{\"return\": {}, \"id\": {\"a\": [18446744073709551615, 0.10000000000000001, "
                      "\"'\"]}}\r\n");
        session_check(&owner,
                      "{'id':7}",
                      "{\"id\": 7, \"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input lacks "
                      "member 'execute'\"}}\r\n");
        session_check(&owner,
                      "{'id':null,'execute':'bogus'}",
                      "{\"id\": null, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The "
                      "command bogus has not been found\"}}\r\n");
        /* what can't be parsed has none */
        session_check(&owner, "{'id':7,bogus}", GENERIC("JSON parse error, invalid keyword 'bogus'"));
}

static void test_busy(void) {
        static const char input[] = "{'execute':'wait','id':1}{'execute':'query-name','id':2}@";
        _cleanup_(session_owner_deinit) SessionOwner owner;
        size_t used = 0;

        session_owner_init(&owner);
        session_negotiate(&owner);
        CU_ASSERT_EQUAL(qmp_session_feed(owner.session, input, strlen(input), &used), 0);
        CU_ASSERT_EQUAL(used, 25);
        CU_ASSERT_TRUE(qmp_session_is_busy(owner.session));
        session_expect(&owner, "");

        /* nothing is taken meanwhile */
        CU_ASSERT_EQUAL(qmp_session_feed(owner.session, input + 25, strlen(input) - 25, &used), 0);
        CU_ASSERT_EQUAL(used, 0);
        CU_ASSERT_EQUAL(owner.n_answered, 0);

        qmp_call_return(owner.waiting, NULL);
        CU_ASSERT_EQUAL(owner.n_answered, 1);
        CU_ASSERT_FALSE(qmp_session_is_busy(owner.session));
        session_expect(&owner, "{\"return\": {}, \"id\": 1}\r\n");
        session_check(&owner,
                      input + 25,
                      "{\"return\": {}, \"id\": 2}\r\n" GENERIC("JSON parse error, stray '@'"));
        CU_ASSERT_EQUAL(owner.n_answered, 1);
}

static void test_late_failure(void) {
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        session_negotiate(&owner);
        session_feed(&owner, "{'execute':'wait','id':'a'}");
        qmp_call_fail(owner.waiting, QAPI_ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", "x");
        session_expect(&owner,
                       "{\"id\": \"a\", \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' "
                       "not found\"}}\r\n");
}

static void test_orphans(void) {
        SessionOwner owner;

        session_owner_init(&owner);
        session_negotiate(&owner);
        session_feed(&owner, "{'execute':'wait'}");
        owner.session = qmp_session_free(owner.session);
        CU_ASSERT_PTR_NULL(qmp_call_get_userdata(owner.waiting));
        qmp_call_return(owner.waiting, json_object_new_object());
        CU_ASSERT_EQUAL(owner.n_answered, 0);
        session_expect(&owner, "");
}

static void test_free_when_answered(void) {
        SessionOwner owner;

        session_owner_init(&owner);
        session_negotiate(&owner);
        owner.free_when_answered = true;
        session_feed(&owner, "{'execute':'wait'}");
        qmp_call_return(owner.waiting, NULL);
        CU_ASSERT_PTR_NULL(owner.session);
        session_expect(&owner, "{\"return\": {}}\r\n");
}

static void test_full_output(void) {
        _cleanup_(session_owner_deinit) SessionOwner owner;
        size_t used;

        session_owner_init(&owner);
        session_negotiate(&owner);
        owner.out.limit = 20;
        CU_ASSERT_EQUAL(qmp_session_feed(owner.session, "{}", 2, &used), -ENOBUFS);
        session_owner_deinit(&owner);

        session_owner_init(&owner);
        session_negotiate(&owner);
        session_feed(&owner, "{'execute':'wait'}");
        owner.out.limit = 10;
        qmp_call_return(owner.waiting, NULL);
        CU_ASSERT_EQUAL(owner.n_answered, 1);
        CU_ASSERT_EQUAL(qmp_session_feed(owner.session, NULL, 0, &used), -ENOBUFS);
}

static void test_events(void) {
        _cleanup_(json_object_putp) json_object *data = NULL;
        _cleanup_(session_owner_deinit) SessionOwner owner;

        session_owner_init(&owner);
        CU_ASSERT_EQUAL(json_parse("{'action':'reset'}", 18, &data, NULL), 0);
        CU_ASSERT_EQUAL(qmp_write_event(&owner.out, "STOP", NULL, 1700000000000007), 0);
        session_expect(&owner,
                       "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 7}, \"event\": "
                       "\"STOP\"}\r\n");
        CU_ASSERT_EQUAL(qmp_write_event(&owner.out, "WATCHDOG", data, 1999999), 0);
        session_expect(&owner,
                       "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 999999}, \"event\": "
                       "\"WATCHDOG\", \"data\": {\"action\": \"reset\"}}\r\n");

        /* one that does not fit leaves nothing behind */
        owner.out.limit = 80;
        CU_ASSERT_EQUAL(qmp_write_event(&owner.out, "WATCHDOG", data, 1999999), -ENOBUFS);
        CU_ASSERT_EQUAL(buffer_length(&owner.out), 0);
}

TEST_MAIN("qmp-session",
          { "greeting", test_greeting },
          { "negotiation", test_negotiation },
          { "shape of a command", test_shape },
          { "ids", test_ids },
          { "input waits while a call is under way", test_busy },
          { "late failure", test_late_failure },
          { "an orphan's answer is dropped", test_orphans },
          { "the session ends with an answer", test_free_when_answered },
          { "full output", test_full_output },
          { "events", test_events })
