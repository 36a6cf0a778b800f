#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Evidence: what is kept before the action, its bounds, and everything that can go wrong meanwhile."""

import os
import shutil
import stat
import subprocess

from lib.testing import Skip, find_program, main, test
from lib.waiting import wait_for

PANIC = ('-device', 'pvpanic')
# Random bytes take QEMU some 30 ms a MiB to compress, so this takes seconds.
SLOW_MIB = 160


def config(evidence='memory', rule='', limits='', free='0'):
    return (f'[discover]\nqmp-glob = {{folder}}/*.qmp\n[guest *]\nmode = enforce\npanic = reset\n'
            f'[rule dump]\nkind = panic\nevidence = {evidence}\n{rule}\n'
            f'[evidence]\nkeep-free = {free}\n{limits}\n')


def start(stage, *guests, **keywords):
    tocsin = stage.tocsin(config(**keywords).format(folder=stage.folder))
    for guest in guests:
        tocsin.wait_machine(guest.name, 'to be told', lambda machine: machine.get('enforced'))
    return tocsin


def quick(stage, name='web', image='x86-panic'):
    """Its dump takes no time: almost all of it is zeros."""
    return stage.guest(name, image, *PANIC, '-m', '64')


def slow(stage, name='web', image='x86-panic'):
    path = stage.folder / f'{name}.memory'
    with open(path, 'wb') as file:
        for _ in range(SLOW_MIB):
            file.write(os.urandom(1 << 20))
    return stage.guest(name, image, *PANIC, '-m', str(SLOW_MIB), '-object',
                       f'memory-backend-file,id=memory,size={SLOW_MIB}M,mem-path={path},share=on',
                       '-machine', 'memory-backend=memory')


def folder(tocsin, incident):
    return tocsin.state / 'evidence' / str(incident['id'])


def dump(tocsin, incident):
    return folder(tocsin, incident) / 'memory.kdump'


def parts(tocsin):
    return list((tocsin.state / 'evidence').glob('*/*.part'))


def words(incident):
    return [step['what'] for step in incident['steps']]


def errors(incident):
    return [step['error'] for step in incident['steps'] if step['what'] == 'evidence' and 'error' in step]


def wait_dumping(tocsin, name='web'):
    """Until some of the file is there."""
    wait_for(parts_have_data(tocsin), f'a dump of {name}')
    return tocsin.machine(name)['dump']


def parts_have_data(tocsin):
    return lambda: any(part.stat().st_size > 1 << 20 for part in parts(tocsin))


@test
def memory_is_kept_before_the_reset(stage):
    guest = quick(stage)
    tocsin = start(stage, guest)
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert words(incident).index('evidence') < words(incident).index('intent'), incident
    path = dump(tocsin, incident)
    assert incident['evidence'] == [{'name': 'memory.kdump', 'size': path.stat().st_size, 'kind': 'memory'}], incident
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    kind = subprocess.run(['file', '-b', path], capture_output=True, text=True, check=True).stdout
    assert kind.startswith('Kdump compressed dump'), kind
    assert not parts(tocsin)
    assert 'memory.kdump' in tocsin.ctl('incidents', 'show', str(incident['id']))


@test
def what_is_restored_is_what_makedumpfile_restores(stage):
    if not shutil.which('makedumpfile'):
        raise Skip('makedumpfile')
    guest = quick(stage, image='x86-panic')
    tocsin = start(stage, guest, rule='action = pause')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    flat, restored = stage.folder / 'flat', stage.folder / 'restored'
    # Nothing ran in between, so a second dump is the same.
    guest.monitor.execute('dump-guest-memory',
                          {'paging': False, 'format': 'kdump-zlib', 'protocol': f'file:{flat}'})
    with open(flat, 'rb') as file:
        subprocess.run(['makedumpfile', '-R', restored], stdin=file, check=True, capture_output=True)
    assert restored.read_bytes() == dump(tocsin, incident).read_bytes()


@test
def registers_are_kept_as_text(stage):
    guest = quick(stage)
    tocsin = start(stage, guest, evidence='registers,memory')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert [file['kind'] for file in incident['evidence']] == ['registers', 'memory'], incident
    text = (folder(tocsin, incident) / 'registers.txt').read_text()
    assert 'CPU#0' in text and 'EIP=' in text, text


@test
def a_decision_to_pause_has_its_evidence_too(stage):
    """QEMU has paused already: nothing is left to do but to keep."""
    guest = quick(stage)
    tocsin = start(stage, guest, rule='action = pause')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert [file['kind'] for file in incident['evidence']] == ['memory'], incident
    assert guest.status() == 'guest-panicked'


@test
def a_guest_that_runs_goes_on_before_it_is_acted_on(stage):
    guest = quick(stage)
    tocsin = start(stage, guest, rule='action = pause\ndelay = 1s')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert [file['kind'] for file in incident['evidence']] == ['memory'], incident
    # QEMU lets it go on after the dump; had we been quicker than that, it would run now.
    assert guest.status() == 'paused', guest.status()
    assert words(incident).index('RESUME') < words(incident).index('intent'), incident


@test
def the_oldest_dump_goes_for_a_third(stage):
    guest = quick(stage, image='x86-panic-every-boot')
    tocsin = start(stage, guest, rule='action = reset\nlimit = 3/10min', limits='dumps-per-machine = 2')
    guest.start()
    incidents = tocsin.wait_incidents('web', 4)
    kept = [incident['id'] for incident in incidents if dump(tocsin, incident).exists()]
    assert kept == [incident['id'] for incident in incidents[2:]], kept

    def listed():
        return [incident['id'] for incident in tocsin.incidents('web') if incident.get('evidence')] == kept
    wait_for(listed, 'the records to list what is kept')
    assert 'make room for the one of incident 3' in str(tocsin.incidents('web')[0]['steps'])


@test
def a_dump_larger_than_a_machine_may_keep_is_not_kept(stage):
    guest = slow(stage)
    tocsin = start(stage, guest, limits='size-per-machine = 8M')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert errors(incident) == ['it is larger than size-per-machine=8M'], incident
    assert not dump(tocsin, incident).exists() and not parts(tocsin)


@test
def what_shall_stay_free_stays_free(stage):
    guest = quick(stage)
    tocsin = start(stage, guest, free='900T')
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert len(errors(incident)) == 1 and 'keep-free=900T' in errors(incident)[0], incident
    assert not dump(tocsin, incident).exists() and not parts(tocsin)


@test
def a_full_disk_does_not_stop_the_action(stage):
    state = stage.folder / 'state'
    state.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', state], check=False,
                      capture_output=True).returncode != 0:
        raise Skip('mounting a tmpfs')
    stage.closing.callback(subprocess.run, ['umount', '-l', state], check=False)
    guest = slow(stage)
    tocsin = start(stage, guest)
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert len(errors(incident)) == 1, incident
    assert not dump(tocsin, incident).exists() and not parts(tocsin)


@test
def a_qemu_killed_meanwhile_is_said_so(stage):
    guest = slow(stage)
    tocsin = start(stage, guest)
    guest.start()
    wait_dumping(tocsin)
    guest.kill()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'ended', incident

    def said():
        return errors(tocsin.incidents('web')[0])
    assert 'before it was complete' in wait_for(said, 'the words about the dump')[0], said()
    assert not dump(tocsin, incident).exists() and not parts(tocsin)


@test
def a_dump_that_takes_too_long_is_abandoned(stage):
    guest = slow(stage)
    tocsin = start(stage, guest, limits='deadline = 1s')
    guest.start()
    progress = wait_dumping(tocsin)
    assert progress['incident'] == tocsin.incidents('web')[0]['id']
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert errors(incident) == ['not complete within 1s'], incident
    assert not dump(tocsin, incident).exists() and not parts(tocsin)
    assert guest.status() == 'running'


@test
def a_disk_that_hangs_does_not_stop_the_action(stage):
    """A frozen file system: the program can't even be killed, and QEMU must be let go without it."""
    disk, state = stage.folder / 'disk', stage.folder / 'state'
    state.mkdir()
    with open(disk, 'wb') as file:
        file.truncate(512 << 20)

    def run(*command):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not run('mkfs.ext4', '-q', disk) or not run('mount', '-o', 'loop', disk, state):
        raise Skip('mounting a file')
    stage.closing.callback(run, 'umount', state)
    guest = slow(stage)
    tocsin = start(stage, guest, limits='deadline = 1s')
    guest.start()
    wait_dumping(tocsin)
    if not run('fsfreeze', '-f', state):
        raise Skip('freezing a file system')
    stage.closing.callback(run, 'fsfreeze', '-u', state)
    wait_for(lambda: guest.status() == 'running', 'the reset', 20)
    run('fsfreeze', '-u', state)
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert errors(incident) == ['not complete within 1s'], incident
    assert not dump(tocsin, incident).exists()


@test
def its_progress_is_shown(stage):
    guest = slow(stage)
    tocsin = start(stage, guest)
    guest.start()
    machine = tocsin.wait_machine('web', 'to be dumped',
                                  lambda machine: machine.get('dump', {}).get('completed', 0) > 0)
    assert machine['dump']['total'] >= SLOW_MIB << 20, machine
    assert '%' in tocsin.ctl('machines')
    assert guest.status() == 'guest-panicked'


@test
def one_dump_at_a_time(stage):
    guests = [slow(stage, 'one'), quick(stage, 'two')]
    tocsin = start(stage, *guests, limits='wait = 1s')
    guests[0].start()
    wait_dumping(tocsin, 'one')
    guests[1].start()
    incident = tocsin.wait_incidents('two')[0]
    assert incident['outcome'] == 'done', incident
    assert errors(incident) == ['no turn for it within 1s'], incident
    assert not errors(tocsin.wait_incidents('one')[0])


@test
def a_tocsind_that_is_killed_begins_anew(stage):
    guest = slow(stage)
    tocsin = start(stage, guest)
    guest.start()
    wait_dumping(tocsin)
    tocsin.kill()
    wait_for(lambda: not parts(tocsin), 'the half file to be removed')
    tocsin.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    assert [file['kind'] for file in incident['evidence']] == ['memory'], incident
    assert words(incident).count('reset') == 1, incident
    assert dump(tocsin, incident).stat().st_size == incident['evidence'][0]['size']


@test
def what_is_complete_is_not_taken_twice(stage):
    state = stage.folder / 'state'
    file = state / 'evidence' / '7' / 'memory.kdump'
    file.parent.mkdir(parents=True)
    (file.parent / 'owner').write_text('web store\n')
    file.write_bytes(b'whole')
    command = [find_program('tocsin-evidence'), 'memory', state, 'store', '7', 'web', '3', '1000000', '1000000', '0']
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert result.stdout == 'kept memory.kdump 5\n', result


@test
def somebody_who_resets_the_guest_meanwhile_has_it(stage):
    guest = slow(stage)
    tocsin = start(stage, guest)
    guest.start()
    wait_dumping(tocsin)
    # (QEMU lets nobody continue it before the dump is over.)
    guest.monitor.execute('system_reset')
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'overtaken', incident
    assert 'intent' not in words(incident), incident
    wait_for(lambda: errors(tocsin.incidents('web')[0]), 'the words about the dump')
    assert not dump(tocsin, incident).exists() and not parts(tocsin)
    assert guest.status() == 'prelaunch'


@test
def evidence_goes_with_its_record(stage):
    guest = quick(stage)
    tocsin = start(stage, guest)
    guest.start()
    incident = tocsin.wait_incidents('web')[0]
    forgotten, foreign = (tocsin.state / 'evidence' / str(number) for number in (4711, 4712))
    shutil.copytree(folder(tocsin, incident), forgotten)
    (forgotten / 'memory.kdump.part').write_bytes(b'half')
    shutil.copytree(folder(tocsin, incident), foreign)
    (foreign / 'owner').write_text('web another-store\n')
    tocsin.stop()
    tocsin.start()
    wait_for(lambda: not forgotten.exists(), 'what was forgotten to be removed')
    assert dump(tocsin, incident).exists()
    assert (foreign / 'memory.kdump').exists()


@test
def what_cant_be_taken_may_not_be_asked_for(stage):
    file = stage.folder / 'tocsin.conf'
    file.write_text('[rule a]\nkind = panic\nevidence = message\n')
    result = subprocess.run([find_program('tocsind'), '--config', file, '--check'], capture_output=True, text=True,
                            check=False)
    assert result.returncode != 0
    assert 'expected a list of registers, log, memory' in result.stderr + result.stdout, result


main()
