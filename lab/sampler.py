"""Asks a switch for its hidden flows as fast as it answers, in a thread, and keeps what changed and when.

The question "was a rule missing, even for an instant?" cannot be answered by looking before and after. Each answer
is one sample; only changes are kept, so a minute of sampling costs no memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from lab.journal import until
from lab.switch import Hidden, Switch, hidden_in
from lab.unixctl import Control, ControlError

Flows = frozenset[Hidden]


class Sampler:
    """A context manager: samples from entry to exit. ``count`` is how many samples there were."""

    def __init__(self, switch: Switch, bridge: str = "br0") -> None:
        self._switch = switch
        self._bridge = bridge
        self._changes: list[tuple[float, Flows]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.count = 0

    def __enter__(self) -> Sampler:
        self._thread.start()
        until(lambda: self.count > 0, 5.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10.0)

    def since(self, start: float) -> list[tuple[float, Flows]]:
        """Return (when first seen, flows) for what was there at ``start`` and each change after it."""
        before = [each for each in self._changes if each[0] <= start]
        return before[-1:] + [each for each in self._changes if each[0] > start]

    def wait(self, condition: Callable[[Flows], bool], start: float, timeout_s: float) -> float | None:
        """Return the seconds from ``start`` until a sample satisfied the condition; None when none did in time."""

        def first() -> float | None:
            return next((max(0.0, when - start) for when, flows in self.since(start) if condition(flows)), None)

        until(lambda: first() is not None, timeout_s)
        return first()

    def missing(self, wanted: Iterable[Hidden], start: float) -> frozenset[Hidden]:
        """Return those of the flows that some sample since ``start`` lacked."""
        expected = frozenset(wanted)
        return frozenset[Hidden]().union(*(expected - flows for _, flows in self.since(start)))

    def absence(self, condition: Callable[[Flows], bool], start: float) -> float:
        """Return for how many seconds since ``start``, in all, samples did not satisfy the condition."""
        states = self.since(start)
        ends = [when for when, _ in states[1:]] + [time.monotonic()]
        pairs = zip(states, ends, strict=True)
        return sum(end - max(when, start) for (when, flows), end in pairs if not condition(flows))

    def _run(self) -> None:
        control: Control | None = None
        while not self._stopping.is_set():
            try:
                control = control or self._switch.control()
                flows = hidden_in(control.call("bridge/dump-flows", self._bridge))
            except (OSError, ControlError):  # the switch restarts: no sample
                if control is not None:
                    control.close()
                control = None
                continue
            if not self._changes or self._changes[-1][1] != flows:
                self._changes.append((time.monotonic(), flows))
            self.count += 1
        if control is not None:
            control.close()
