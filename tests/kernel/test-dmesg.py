#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel log of a real Linux guest, as evidence: out of a dump, by makedumpfile; its last words are
the incident's headline. The guest hands its vmcoreinfo to QEMU once qemu_fw_cfg is loaded."""

import contextlib
import pathlib
import shutil

from lib.linux import Linux
from lib.testing import Skip, main, test

HEADLINE = 'Linux stopped: Kernel panic - not syncing: sysrq triggered crash'


def crash(stage, evidence, modules=('qemu_fw_cfg',), version='6.12', limits=''):
    """The incident of a guest that panicked."""
    if not shutil.which('makedumpfile'):
        raise Skip('makedumpfile')
    guest = stage.enter(contextlib.closing(Linux(
        stage.folder, 'web', version, ('pvpanic-pci', *modules),
        ('-device', 'pvpanic-pci', '-device', 'vmcoreinfo'))))
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n'
                          f'[rule keep]\nkind = panic\nevidence = {evidence}\n'
                          f'[evidence]\nkeep-free = 0\n{limits}\n')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    guest.start()
    guest.wait_ready()
    guest.panic()
    return tocsin, tocsin.wait_incidents('web')[0]


def kept(tocsin, incident):
    """The files of its folder; they are those of its record."""
    files = {path.name: path for path in (tocsin.state / 'evidence' / str(incident['id'])).iterdir()}
    del files['owner']
    assert {file['name'] for file in incident.get('evidence', [])} == set(files), (incident, files)
    return files


def problems(incident):
    return [step['error'] for step in incident['steps'] if step['what'] == 'evidence' and 'error' in step]


def no_scratch():
    assert not list(pathlib.Path('/tmp').glob('tocsin-log-*'))


@test
def the_last_words_are_the_headline(stage):
    tocsin, incident = crash(stage, 'log, registers')
    assert incident['headline'] == HEADLINE, incident
    assert incident['signature'] == 'panic-sysrq-triggered-crash'
    assert incident['call-trace'].startswith('panic, sysrq_handle_crash, __handle_sysrq'), incident
    files = kept(tocsin, incident)
    assert set(files) == {'dmesg.txt', 'registers.txt'}, files
    log = files['dmesg.txt'].read_text()
    assert 'Linux version 6.12' in log and 'Kernel panic - not syncing: sysrq' in log
    assert not problems(incident)
    text = tocsin.ctl('incidents', 'show', '1')
    assert HEADLINE in text and 'call trace: panic, ' in text and 'dmesg.txt' in text, text
    assert tocsin.execute('query-crashes')[0]['headline'] == HEADLINE
    no_scratch()


@test
def the_dump_stays_where_it_is_wanted_too(stage):
    tocsin, incident = crash(stage, 'memory, log', version='6.1')
    assert incident['headline'] == HEADLINE, incident
    assert set(kept(tocsin, incident)) == {'dmesg.txt', 'memory.kdump'}


@test
def without_vmcoreinfo_it_says_so(stage):
    tocsin, incident = crash(stage, 'log', modules=())
    assert 'headline' not in incident and incident['signature'] == 'panic', incident
    problem, = problems(incident)
    assert problem.startswith('the guest offers no vmcoreinfo, or is no Linux of this architecture: makedumpfile: ')
    assert not kept(tocsin, incident)
    no_scratch()


@test
def without_a_dump_there_is_no_log(stage):
    tocsin, incident = crash(stage, 'log', limits='size-per-machine = 1M')
    problem, = problems(incident)
    assert 'size-per-machine=1M' in problem, problem
    assert incident['steps'][2]['text'] == 'evidence (log) is not kept', incident
    assert not kept(tocsin, incident)


if __name__ == '__main__':
    main()
