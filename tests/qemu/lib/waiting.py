# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deadlines: nothing in a test waits for ever, and what did not come in time is named."""

import os
import time

# How much slower than usual this build may be (sanitizers); tests/run sets it.
SLOW = float(os.environ.get('TOCSIN_SLOW', '1'))
SECONDS = 30


class Late(Exception):
    """Something did not happen in time."""


class Deadline:
    def __init__(self, seconds=SECONDS):
        self.end = time.monotonic() + seconds * SLOW

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def is_over(self):
        return time.monotonic() >= self.end


def wait_for(func, what, seconds=SECONDS, pause=0.02):
    """Calls func until what it returns is true, and returns that."""
    deadline = Deadline(seconds)
    while True:
        result = func()
        if result:
            return result
        if deadline.is_over():
            raise Late(f'waited {seconds} s for {what}; last seen: {result!r}')
        time.sleep(pause)
