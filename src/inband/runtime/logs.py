"""Logging: one line per cause on standard error, and never a flood.

A cause that repeats (a controller that is gone is tried again for days) is written a few times a minute and then
counted; a line after the minute says how many were left out. A cause is the text of the message unless the record
names one (``extra={"cause": ...}``), which it should when the text has figures that change.

Invariant: the number of lines per minute is bounded whatever happens (MAX_LINES_PER_MINUTE and MAX_SUMMARIES
for all causes together), and so is the memory for causes. What is left out is counted in a later line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from inband.errors import UsageError
from inband.switch.config import LogFormat

WINDOW_S = 60.0
LINES_PER_CAUSE = 3
MAX_LINES_PER_MINUTE = 300
MAX_CAUSES = 1000
MAX_SUMMARIES = 20

_OTHER = "messages of other causes"


@dataclass(slots=True)
class _Cause:
    since: float
    written: int = 0
    suppressed: int = 0


class RateLimiter:
    """Decides which messages are written. No clock inside: ``now`` is seconds of a clock that only goes forward."""

    def __init__(self, per_cause: int = LINES_PER_CAUSE, total: int = MAX_LINES_PER_MINUTE) -> None:
        """At most ``per_cause`` lines of one cause and ``total`` lines altogether in each WINDOW_S."""
        self._per_cause = per_cause
        self._total = total
        self._causes: dict[str, _Cause] = {}
        self._all = _Cause(0.0)

    def allow(self, cause: str, now: float) -> bool:
        """Whether to write a message of this cause now; counts it when not."""
        if now - self._all.since >= WINDOW_S:
            self._all = _Cause(now)
        entry = self._causes.get(cause)
        if entry is None or now - entry.since >= WINDOW_S:
            entry = self._new_window(cause, entry, now)
        if entry.written >= self._per_cause or self._all.written >= self._total:
            entry.suppressed += 1
            return False
        entry.written += 1
        self._all.written += 1
        return True

    def _new_window(self, cause: str, old: _Cause | None, now: float) -> _Cause:
        if old is None and len(self._causes) >= MAX_CAUSES:
            return self._causes.setdefault(_OTHER, _Cause(now))
        self._causes[cause] = _Cause(now, suppressed=old.suppressed if old else 0)
        return self._causes[cause]

    def summaries(self, now: float) -> Iterator[tuple[str, int]]:
        """Each cause whose minute is over with messages left out, and how many; forgets what it returns.

        Work is proportional to the causes there are, at most MAX_CAUSES.
        """
        over = [cause for cause, entry in self._causes.items() if now - entry.since >= WINDOW_S]
        for cause in over:
            suppressed = self._causes.pop(cause).suppressed
            if suppressed:
                yield cause, suppressed


class RateLimitedHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream unless their cause has had its share; never raises."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], limiter: RateLimiter | None = None) -> None:
        """``clock`` gives seconds and only goes forward."""
        super().__init__(stream)
        self._clock = clock
        self._limiter = limiter or RateLimiter()
        self._last_summary = clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write, or count; once a minute at most, say what was counted."""
        now = self._clock()
        if now - self._last_summary >= WINDOW_S:
            self._last_summary = now
            self._write_summaries(now)
        if self._limiter.allow(_cause_of(record), now):
            super().emit(record)

    def _write_summaries(self, now: float) -> None:
        counts = sorted(self._limiter.summaries(now), key=lambda pair: -pair[1])
        for cause, count in counts[:MAX_SUMMARIES]:
            super().emit(_summary(cause, count))
        if rest := counts[MAX_SUMMARIES:]:
            super().emit(_summary(f"{len(rest)} other causes", sum(count for _, count in rest)))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: a log that cannot be written (closed pipe, full disk) must not stop or flood anything."""


def _cause_of(record: logging.LogRecord) -> str:
    cause = getattr(record, "cause", None)
    try:
        return str(cause) if cause is not None else record.getMessage()
    except Exception:  # arguments that do not fit the message: our bug, but not worth a switch
        return str(record.msg)


def _summary(cause: str, count: int) -> logging.LogRecord:
    return logging.LogRecord("inband", logging.WARNING, "", 0, "%s (suppressed %d times)", (cause, count), None)


class _JsonFormatter(logging.Formatter):
    """A JSON document a line: time (RFC 3339, UTC), level, module, message, and what went wrong in us, if anything."""

    def format(self, record: logging.LogRecord) -> str:
        clock = f"{time.strftime('%FT%T', time.gmtime(record.created))}.{int(record.msecs):03d}Z"
        document = {
            "time": clock,
            "level": record.levelname.lower(),
            "module": record.name.removeprefix("inband."),
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document)


class _Formatter(logging.Formatter):
    """One line per record: time, level, text; for the journal, which has its own clock, the level of sd-daemon(3)."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%FT%T")
        self.converter = time.gmtime
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"<{_JOURNAL_LEVELS.get(record.levelno, 6)}>{text}" if self._journal else text


_JOURNAL_LEVELS = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}

# ovs-appctl vlog/set's words, and logging's own.
LEVELS = {
    "off": logging.CRITICAL + 1,
    "emer": logging.CRITICAL,
    "err": logging.ERROR,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "dbg": logging.DEBUG,
    "debug": logging.DEBUG,
}


def set_up_logging(
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    form: LogFormat = LogFormat.TEXT,
) -> None:
    """Send everything that the switch logs to ``stream`` (standard error), rate limited, from INFO up."""
    handler = RateLimitedHandler(sys.stderr if stream is None else stream, clock)
    is_text = form is LogFormat.TEXT
    handler.setFormatter(_Formatter(journal="JOURNAL_STREAM" in os.environ) if is_text else _JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries
    # It warns of what is written after a peer has gone, without saying who; that the peer has gone is reported.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    logging.getLogger("inband").setLevel(logging.INFO)


def _modules() -> list[str]:
    """The modules that log, and the packages that they are in."""
    loggers = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "inband"]
    packages = {".".join(name.split(".")[:depth]) for name in loggers for depth in range(1, name.count(".") + 2)}
    return sorted({"inband", *packages})


_DESTINATIONS = ("console", "syslog", "file")
"""Open vSwitch's; of ours only console is written, which a service manager takes into its journal."""

_OVS_LEVELS = ("emer", "err", "warn", "info", "dbg")


def set_level(spec: str) -> str:
    """What ``vlog/set SPEC`` does: MODULE, DESTINATION and LEVEL in any order, any of them left out.

    They are separated by colons, commas or blanks. MODULE is written as in ``control.engine``; no MODULE, or ANY, are
    all; no LEVEL is ``dbg``. A level for a destination that is not written changes nothing. Returns nothing to print;
    raises UsageError with what there is.
    """
    words = [word for word in re.split(r"[:,\s]+", spec) if word]
    if words[:1] == ["PATTERN"]:
        raise UsageError("vlog/set: the form of lines cannot be changed here: see `inband run --log-format`")
    levels = [word for word in words if word.lower() in LEVELS]
    rest = [word for word in words if word not in levels]
    destinations = [word for word in rest if word.lower() in _DESTINATIONS]
    modules = [word for word in rest if word not in destinations]
    if not words or len(levels) > 1 or len(destinations) > 1 or len(modules) > 1:
        raise UsageError(f"{spec!r} is not [MODULE][:DESTINATION][:LEVEL]: levels are {', '.join(LEVELS)}")
    name = _logger_name(modules[0] if modules else "ANY")
    if destinations in ([], ["console"]):
        logging.getLogger(name).setLevel(LEVELS[levels[0].lower() if levels else "dbg"])
    return ""


def _logger_name(module: str) -> str:
    """The logger of a module in ``vlog/set``'s words; raises UsageError where there is none."""
    name = "inband" if module in ("ANY", "any", "inband") else f"inband.{module.removeprefix('inband.')}"
    if name not in (known := _modules()):
        there = ", ".join(each.removeprefix("inband.") for each in known if "." in each)
        raise UsageError(f'no destination, level, or module "{module}": there are {there}')
    return name


def level_table() -> str:
    """What ``vlog/list`` prints: each module that logs, with the level that it has for each destination."""
    lines = ["                 console    syslog    file", "                 -------    ------    ------"]
    for name in _modules():
        if "." in name:
            level = logging.getLogger(name).getEffectiveLevel()
            lines.append(
                f"{name.removeprefix('inband.'):<16}  {_level_word(level):>4}       {'OFF':>4}       {'OFF':>4}"
            )
    return "".join(f"{line}\n" for line in lines)


def _level_word(level: int) -> str:
    return next((word.upper() for word in _OVS_LEVELS if LEVELS[word] <= level < LEVELS["off"]), "OFF")
