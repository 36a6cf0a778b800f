#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that are told of incidents: what they get, what the record says of them, and that nothing
waits for them."""

import email
import json
import os
import pathlib
import pwd
import socket
import threading
import time

from lib.testing import SOURCE, Skip, main, test
from lib.waiting import wait_for

NOBODY = pwd.getpwnam('nobody')


def program(stage, name, text, mode=0o755):
    path = stage.folder / name
    path.write_text(text)
    path.chmod(mode)
    # What runs as nobody must get at it.
    stage.folder.chmod(0o755)
    return path


def section(name, path, *lines):
    return '\n'.join([f'[notify {name}]', f'program = {path}', 'user = nobody', *lines, ''])


def lives(pid):
    """An orphan that has ended waits for init, which may take its time."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def panicking(stage, name='web', image='x86-panic', devices=('-device', 'pvpanic', '-action', 'panic=pause')):
    return stage.guest(name, image, *devices)


def watch(stage, guest, *sections):
    if os.geteuid() != 0:
        raise Skip('root, to run programs as nobody')
    tocsin = stage.tocsin(f'[guest {guest.name}]\nqmp = {guest.path}\n' + ''.join(sections))
    tocsin.wait_attached(guest.name)
    return tocsin


def wait_step(tocsin, name, machine='web', count=1, seconds=10):
    """The steps that a notification left in the record of the only incident."""
    def find():
        for record in tocsin.incidents(machine):
            steps = [step for step in record['steps'] if step['what'] == f'notify {name}']
            if len(steps) >= count:
                return steps
        return None
    return wait_for(find, f'the result of {name}', seconds)


@test
def a_program_gets_the_record(stage):
    guest = panicking(stage)
    out = stage.folder / 'out'
    out.mkdir()
    out.chmod(0o777)
    tell = program(stage, 'tell', f'''#!/bin/sh
cat >{out}/record
env >{out}/environment
id -u >{out}/uid
ls /proc/self/fd | wc -l >{out}/fds
grep NoNewPrivs /proc/self/status >{out}/privs
cut -d' ' -f1,5,6 /proc/$$/stat >{out}/ids
echo told; echo "and more" >&2
''')
    tocsin = watch(stage, guest, section('tell', tell))
    guest.start()
    step = wait_step(tocsin, 'tell')[0]
    assert (step['text'], step.get('error')) == ('told\nand more', None), step

    text = (out / 'record').read_text()
    assert text.count('\n') == 1, text
    record = json.loads(text)
    incident = tocsin.incidents('web')[0]
    for key in ('id', 'machine', 'kind', 'event', 'data'):
        assert record[key] == incident[key], (key, record)
    assert record['decision']['action'] == 'pause', record
    environment = dict(line.split('=', 1) for line in (out / 'environment').read_text().splitlines())
    ours = {key: value for key, value in environment.items() if key.startswith('TOCSIN')}
    assert ours == {'TOCSIN_NOTIFY': 'tell', 'TOCSIN_INCIDENT': str(record['id']), 'TOCSIN_MACHINE': 'web',
                    'TOCSIN_KIND': 'panic', 'TOCSIN_STATUS': 'open', 'TOCSIN_ACTION': 'pause'}, ours
    assert environment['USER'] == 'nobody', environment
    assert int((out / 'uid').read_text()) == NOBODY.pw_uid
    assert int((out / 'fds').read_text()) == 4, 'three, and the one that ls opened'
    assert (out / 'privs').read_text().split()[1] == '1'
    pid, group, session = (out / 'ids').read_text().split()
    assert pid == group == session, 'it leads a session and a group of its own'


@test
def opened_and_closed(stage):
    guest = panicking(stage)
    tell = program(stage, 'tell', '#!/bin/sh\necho $TOCSIN_STATUS\n')
    tocsin = watch(stage, guest,
                   section('both', tell, 'on = opened, closed'), section('late', tell, 'on = closed'),
                   section('other-kind', tell, 'kinds = watchdog, stopped'),
                   section('other-machine', tell, 'machine = db-*'))
    guest.start()
    assert sorted(step['text'] for step in wait_step(tocsin, 'both', count=2)) == ['closed', 'open']
    assert wait_step(tocsin, 'late')[0]['text'] == 'closed'
    time.sleep(0.3)
    steps = [step['what'] for step in tocsin.incidents('web')[0]['steps'] if 'notify' in step['what']]
    assert sorted(steps) == ['notify both', 'notify both', 'notify late'], steps


@test
def what_fails_is_recorded(stage):
    guest = panicking(stage)
    sections = {
        'fails': (program(stage, 'fails', '#!/bin/sh\necho broken pipe to nowhere\nexit 3\n'), 'exit status 3'),
        'dies': (program(stage, 'dies', '#!/bin/sh\nkill -SEGV $$\n'), 'ended by signal 11'),
        'missing': (stage.folder / 'missing', 'No such file or directory'),
        'folder': (stage.folder, 'is no program'),
        'not-executable': (program(stage, 'not-executable', '#!/bin/sh\n', 0o644), 'is no program'),
        'no-interpreter': (program(stage, 'no-interpreter', '#!/no/such/shell\n'), 'exit status 127'),
        'writable': (program(stage, 'writable', '#!/bin/sh\ntouch {stage.folder}/ran\n', 0o757), 'can be written to by others'),
    }
    theirs = program(stage, 'theirs', '#!/bin/sh\n')
    os.chown(theirs, NOBODY.pw_uid, NOBODY.pw_gid)
    sections['theirs'] = (theirs, f'belongs to uid {NOBODY.pw_uid}')
    folder = stage.folder / 'open'
    folder.mkdir()
    folder.chmod(0o777)
    sections['open-folder'] = (folder / 'tell', 'can be written to by others')
    program(stage, 'open/tell', '#!/bin/sh\n')
    # A link is fine; where it leads is asked.
    (stage.folder / 'link').symlink_to(theirs)
    sections['link'] = (stage.folder / 'link', f'belongs to uid {NOBODY.pw_uid}')
    tocsin = watch(stage, guest, *(section(name, path) for name, (path, error) in sections.items()),
                   f'[notify nobody-there]\nprogram = {sections["fails"][0]}\nuser = no-such-user\n')
    guest.start()
    for name, (path, error) in sections.items():
        step = wait_step(tocsin, name)[0]
        assert error in step['error'], (name, step)
    assert "no user 'no-such-user'" in wait_step(tocsin, 'nobody-there')[0]['error']
    assert wait_step(tocsin, 'fails')[0]['text'] == 'broken pipe to nowhere'
    assert '/no/such/shell' in wait_step(tocsin, 'no-interpreter')[0]['text'] \
        or 'No such file' in wait_step(tocsin, 'no-interpreter')[0]['text']


@test
def the_deadline_ends_all_it_started(stage):
    guest = panicking(stage)
    pids = stage.folder / 'pids'
    pids.mkdir()
    pids.chmod(0o777)
    # It does not care for SIGTERM, and nor do its children.
    slow = program(stage, 'slow', f'''#!/bin/sh
trap '' TERM
for i in 1 2 3; do sh -c 'trap "" TERM; echo $$ >{pids}/'$i'; sleep 100; sleep 100' & done
echo waiting
echo $$ >{pids}/0
wait
sleep 100
''')
    obeys = program(stage, 'obeys', '#!/bin/sh\nsleep 100\n')
    # What a program leaves behind in its group does not outlive it.
    leaves = program(stage, 'leaves', f'#!/bin/sh\nsleep 100 &\necho $! >{pids}/4\n')
    tocsin = watch(stage, guest, section('slow', slow, 'deadline = 1s'),
                   section('obeys', obeys, 'deadline = 1s'), section('leaves', leaves))
    began = time.monotonic()
    guest.start()
    step = wait_step(tocsin, 'leaves')[0]
    assert 'error' not in step and step['text'] == 'exit status 0', step
    step = wait_step(tocsin, 'obeys')[0]
    assert step['error'] == 'killed: it took longer than 1s', step
    assert time.monotonic() - began < 4
    step = wait_step(tocsin, 'slow')[0]
    assert step['error'] == 'killed: it took longer than 1s', step
    assert step['text'] == 'waiting', step
    running = [number for number in range(5) if lives((pids / str(number)).read_text().strip())]
    assert running == [], running


@test
def output_is_bounded(stage):
    guest = panicking(stage)
    much = program(stage, 'much', '''#!/bin/sh
head -c 1000000 /dev/zero | tr '\\0' x
printf 'the end'
''')
    odd = program(stage, 'odd', '#!/bin/sh\nprintf "a\\0b\\033[2J\\377%%s\\n\\n"\n')
    tocsin = watch(stage, guest, section('much', much), section('odd', odd))
    guest.start()
    text = wait_step(tocsin, 'much')[0]['text']
    assert text == 'x' * 4096 + ' [...]', len(text)
    text = wait_step(tocsin, 'odd')[0]['text']
    assert text.startswith('a?b\x1b[2J') and text.endswith('%s'), text


@test
def nothing_waits_for_it(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic')
    slow = program(stage, 'slow', '#!/bin/sh\nsleep 3\n')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = shutdown\n'
                          + section('slow', slow, 'on = opened, closed'))
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    began = time.monotonic()
    guest.start()
    guest.wait_end()
    record = tocsin.wait_incidents('web')[0]
    assert time.monotonic() - began < 2.5, record
    # The guest is gone and its record closed; the results still come.
    steps = wait_step(tocsin, 'slow', count=2)
    assert [step['text'] for step in steps] == ['exit status 0'] * 2, steps
    assert tocsin.incidents('web')[0]['outcome'] == record['outcome']


@test
def four_that_end_at_once_are_all_recorded(stage):
    """Each changes the record of an incident that is closed."""
    guest = panicking(stage)
    fifo = stage.folder / 'fifo'
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    tell = program(stage, 'tell', f'#!/bin/sh\ncat {fifo}\n')
    names = ['one', 'two', 'three', 'four']
    tocsin = watch(stage, guest, *(section(name, tell) for name in names))
    guest.start()
    tocsin.wait_incidents('web')
    time.sleep(0.5)
    # Whoever waits in open() is let go by this, all of them at once.
    os.close(os.open(fifo, os.O_WRONLY))
    for name in names:
        wait_step(tocsin, name)


@test
def a_flood_is_bounded(stage):
    if os.geteuid() != 0:
        raise Skip('root, to run programs as nobody')
    flood = stage.guest('flood', 'x86-panic-flood', '-device', 'pvpanic', '-action', 'panic=none')
    quiet = panicking(stage, 'quiet')
    ran = stage.folder / 'ran'
    ran.mkdir()
    ran.chmod(0o777)
    tell = program(stage, 'tell', f'#!/bin/sh\nmkdir {ran}/$$\nls {ran} | wc -l\nsleep 0.2\nrmdir {ran}/$$\n')
    tocsin = stage.tocsin(f'[guest flood]\nqmp = {flood.path}\n[guest quiet]\nqmp = {quiet.path}\n'
                          + section('tell', tell) + section('again', tell))
    tocsin.wait_attached('flood', 'quiet')
    flood.start()
    wait_for(lambda: any('notif' in problem for problem in tocsin.execute('query-tocsin')['problems']),
             'notifications to be left out')
    # The quiet one's comes behind what waits, and is not crowded out.
    quiet.start()
    wait_step(tocsin, 'tell', 'quiet')
    wait_step(tocsin, 'again', 'quiet')
    flood.kill()
    wait_for(lambda: 'notifications were left out' in tocsin.log(), 'the count of those left out', 20)
    counts = [int(step['text']) for record in tocsin.incidents('flood') for step in record['steps']
              if step['what'] == 'notify tell']
    assert counts and max(counts) <= 4, counts


@test
def the_end_of_tocsin_waits_for_nobody(stage):
    guest = panicking(stage)
    pid = stage.folder / 'pid'
    pid.mkdir()
    pid.chmod(0o777)
    slow = program(stage, 'slow', f'#!/bin/sh\necho $$ >{pid}/0\nexec sleep 100\n')
    tocsin = watch(stage, guest, section('slow', slow))
    guest.start()
    wait_for(lambda: (pid / '0').exists() and (pid / '0').read_text(), 'it to run')
    began = time.monotonic()
    tocsin.stop()
    assert time.monotonic() - began < 3
    number = (pid / '0').read_text().strip()
    wait_for(lambda: not lives(number), 'it to end with the helper')


def serve_mail(listener, received):
    """As much of SMTP as a client needs to believe in it."""
    connection, _ = listener.accept()
    with connection, connection.makefile('rwb') as stream:
        def say(line):
            stream.write(line + b'\r\n')
            stream.flush()
        say(b'220 here')
        for line in stream:
            if line.upper().startswith(b'DATA'):
                say(b'354 go on')
                for text in stream:
                    if text == b'.\r\n':
                        break
                    received.append(text.decode())
            say(b'221 bye' if line.upper().startswith(b'QUIT') else b'250 good')


@test
def the_example_sends_a_mail(stage):
    guest = panicking(stage)
    listener = stage.enter(socket.create_server(('127.0.0.1', 0)))
    received = []
    thread = threading.Thread(target=serve_mail, args=(listener, received), daemon=True)
    thread.start()
    example = (SOURCE / 'conf' / 'examples' / 'notify-mail').read_text()
    example = example.replace("'localhost'", "'127.0.0.1'").replace('PORT = 25',
                                                                    f'PORT = {listener.getsockname()[1]}')
    tocsin = watch(stage, guest, section('mail', program(stage, 'mail', example)))
    guest.start()
    step = wait_step(tocsin, 'mail')[0]
    assert step['text'] == 'mailed to root@localhost', step
    thread.join(5)
    mail = email.message_from_string(''.join(received))
    assert mail['Subject'] == 'web: panic pause open', mail['Subject']
    assert 'Incident 1 of web: panic, open.' in mail.get_payload(decode=True).decode(), mail


if __name__ == '__main__':
    main()
