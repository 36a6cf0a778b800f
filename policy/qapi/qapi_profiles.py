# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which part of the schema each kind of endpoint speaks. The names are those of QapiProfile in
qmp-session.h.
"""

from dataclasses import dataclass

from qapi_schema import BUILTINS, Member, Struct


# Sent to one client about the numbers of others, so it has neither a machine nor a number.
NOT_NUMBERED = ('EVENTS_LOST',)


@dataclass(frozen=True)
class Profile:
    name: str
    socket: str
    commands: tuple  # modules
    events: tuple
    every_machine: bool = False  # events say whose they are

    def select(self, schema):
        """Its commands and events, in the order of the schema."""
        return [item for item in schema.items
                if schema.commands.get(getattr(item, 'name', None)) is item
                and item.module in self.commands
                or schema.events.get(getattr(item, 'name', None)) is item
                and item.module in self.events]

    def event_data(self, event):
        """The type of the event's data on this endpoint, or None."""
        if not self.every_machine or event.name in NOT_NUMBERED:
            return event.arg
        members = list(event.arg.members) if event.arg else []
        members += [Member('machine', BUILTINS['str'], False, [], event.where),
                    Member('seq', BUILTINS['uint64'], False, [], event.where),
                    Member('synthetic', BUILTINS['bool'], True, [], event.where)]
        return Struct(event.name, event.module, event.where, event.doc, members, implicit=True)


PROFILES = (
    Profile('MACHINE', 'qmp/NAME.sock',
            ('control', 'run-state', 'vfio'), ('control', 'run-state', 'vfio')),
    Profile('CONTROL', 'control.sock',
            ('control', 'tocsin', 'plugin', 'source'), ('control', 'run-state', 'vfio', 'tocsin'), every_machine=True),
    Profile('VMM', 'vmm.sock', ('control', 'vmm'), ('vmm',)),
)
