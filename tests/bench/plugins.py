#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What plugins cost: the time from a guest's panic to its decision, with no plugin and with some, in the same
run; and, which other load disturbs less, the time tocsind itself waited for each answer (p50 of query-plugins).

    TOCSIN_BUILD=build plugins.py
"""

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'plugin'))

from stage import Panicking, build_module, config  # noqa: E402
from lib.testing import Stage  # noqa: E402
from lib.waiting import wait_for  # noqa: E402

ROUNDS = 3
PANICS = 200
TARGET_US = 100
MODULE = '''
#include <tocsin/plugin.h>
static void panic(void *state, const struct tocsin_question *question, struct tocsin_answer *answer) {
        if (question->incident->kind == TOCSIN_INCIDENT_KIND_PANIC)
                tocsin_decide(answer, TOCSIN_ACTION_RESET, "it is a measurement");
}
const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD, .name = "bench", .version = "1", .doc = "Decides.", .panic = panic,
};
'''
PROGRAM = '''#!/usr/bin/python3
import json, sys
sys.stdin.readline()
print('{"abilities": ["panic"]}', flush=True)
for line in sys.stdin:
    print(json.dumps({'number': json.loads(line)['number'], 'action': 'reset', 'reason': 'x'}), flush=True)
'''


def measure(chain_of):
    """Medians in microseconds: from panic to decision, and what all answers together took. chain_of(stage) gives
    {name: file}."""
    stage = Stage()
    with stage.closing:
        guest = Panicking(stage, 'vm')
        plugins = {name: (file, {}, 'deadline = 1s') for name, file in chain_of(stage).items()}
        tocsin = stage.tocsin(config({'vm': guest}, plugins).replace('panic = pause', 'panic = reset'),
                              'incident-rate = 10000\nreset-guard = 1000000/1min\naction-cap = 1000000/1min\n')
        tocsin.wait_attached('vm')
        wait_for(lambda: all(p['state'] == 'ready' for p in tocsin.execute('query-plugins')), 'plugins to be ready')
        control = stage.enter(tocsin.control())
        times = []
        for _ in range(PANICS):
            start = time.monotonic()
            guest.panic()
            control.wait_event('INCIDENT', status='acting')
            times.append((time.monotonic() - start) * 1e6)
            control.wait_event('RESUME')
        waited = sum(plugin['p50'] for plugin in tocsin.execute('query-plugins'))
        for daemon in stage.daemons:
            daemon.stop()
    return statistics.median(times), waited


def modules(count):
    return lambda stage: {f'c{n}': build_module(stage.folder, f'c{n}', MODULE) for n in range(count)}


def program(stage):
    file = stage.folder / 'bench.py'
    file.write_text(PROGRAM)
    file.chmod(0o755)
    return {'python': file}


def median(chain):
    return [statistics.median(column) for column in zip(*(measure(chain) for _ in range(ROUNDS)))]


def main():
    none, _ = median(modules(0))
    print(f'no plugin       {none:8.1f} us from panic to decision')
    for name, chain, target in (('one in C', modules(1), TARGET_US), ('three in C', modules(3), None),
                                ('one in Python', program, None)):
        took, waited = median(chain)
        verdict = '' if target is None else f'  target <= {target}: {"met" if waited <= target else "MISSED"}'
        print(f'{name:15} {took:8.1f} us from panic to decision; waited {waited:6.1f} us{verdict}', flush=True)


if __name__ == '__main__':
    main()
