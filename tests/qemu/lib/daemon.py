# SPDX-License-Identifier: LGPL-2.1-or-later
"""tocsind on private folders."""

import pathlib
import signal
import subprocess
import textwrap

from .qmp import Qmp
from .testing import find_program
from .waiting import Late, wait_for

STOP_SECONDS = 10


class Tocsin:
    def __init__(self, folder, config='', daemon='', start=True):
        self.folder = pathlib.Path(folder)
        self.runtime = self.folder / 'run'
        self.state = self.folder / 'state'
        self.file = self.folder / 'tocsin.conf'
        self.log_file = self.folder / 'tocsind.log'
        self.runtime.mkdir(exist_ok=True)
        self.state.mkdir(exist_ok=True)
        self.process = None
        self.configure(config, daemon)
        if start:
            self.start()

    def configure(self, config, daemon=''):
        """Writes the configuration; `daemon` are more keys of [daemon]."""
        self.file.write_text(f'[daemon]\nruntime-dir = {self.runtime}\nstate-dir = {self.state}\n'
                             + textwrap.dedent(daemon) + '\n' + textwrap.dedent(config))

    def start(self):
        self.spawn()
        self.wait_up()

    def spawn(self):
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen([find_program('tocsind'), '--config', self.file],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_up(self):
        wait_for(self._is_up, 'tocsind to serve control.sock')

    def _is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f'tocsind ended with {self.process.returncode}: {self.log()[-2000:]}')
        try:
            self.control().close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends it as systemd would; it has to end well."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Late(f'tocsind did not end within {STOP_SECONDS} s of SIGTERM') from None
        self.process = None
        if status != 0:
            raise AssertionError(f'tocsind ended with {status}')

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def log(self):
        return self.log_file.read_text(errors='replace') if self.log_file.exists() else ''

    def control(self):
        return Qmp(self.runtime / 'control.sock')

    def endpoint(self, name):
        return Qmp(self.runtime / 'qmp' / f'{name}.sock')

    def execute(self, command, arguments=None):
        with self.control() as control:
            return control.execute(command, arguments)

    def machines(self):
        return {machine['name']: machine for machine in self.execute('query-machines')}

    def machine(self, name):
        return self.machines().get(name)

    def wait_machine(self, name, what='to be attached', test=lambda machine: machine['attached']):
        def find():
            machine = self.machine(name)
            return machine if machine and test(machine) else None
        return wait_for(find, f'{name} {what}')

    def wait_attached(self, *names):
        for name in names:
            self.wait_machine(name)

    def incidents(self, machine=None):
        """Oldest first."""
        arguments = {'machine': machine} if machine else {}
        return self.execute('query-incidents', arguments)[::-1]

    def wait_incidents(self, machine, count=1, status='closed'):
        """All incidents of that machine, when so many have come that far."""
        def find():
            incidents = self.incidents(machine)
            far = [incident for incident in incidents if incident['status'] == status]
            return incidents if len(far) >= count else None
        try:
            return wait_for(find, f'{count} incident(s) of {machine} {status}')
        except Late as late:
            seen = [{key: incident.get(key) for key in ('id', 'kind', 'status', 'outcome')}
                    for incident in self.incidents(machine)]
            raise Late(f'{late}; incidents: {seen}') from None

    def ctl(self, *words, check=True):
        """Output of tocsinctl."""
        result = subprocess.run([find_program('tocsinctl'), '--socket', self.runtime / 'control.sock', *words],
                                capture_output=True, text=True, timeout=30, check=False)
        if check and result.returncode != 0:
            raise AssertionError(f'tocsinctl {" ".join(words)}: {result.returncode}: {result.stderr}')
        return result if not check else result.stdout
