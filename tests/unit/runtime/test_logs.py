"""Logs: every cause is heard, none can flood, and nothing is left out without a count."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import UsageError
from inband.runtime.logs import (
    LEVELS,
    MAX_CAUSES,
    WINDOW_S,
    RateLimitedHandler,
    RateLimiter,
    level_table,
    set_level,
    set_up_logging,
)
from inband.switch.config import LogFormat


@dataclass
class ManualClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    """The root logger as it was."""
    root, ours, loop = logging.getLogger(), logging.getLogger("inband"), logging.getLogger("asyncio")
    before = (root.handlers[:], root.level, ours.level, loop.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    loop.setLevel(before[3])


def logger_to(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger


@pytest.mark.usefixtures("untouched_logging")
def test_what_asyncio_warns_of_is_left_out_and_its_errors_are_not() -> None:
    stream = io.StringIO()
    set_up_logging(stream)

    logging.getLogger("asyncio").warning("socket.send() raised exception.")
    logging.getLogger("asyncio").error("an exception was never retrieved")

    assert "socket.send" not in stream.getvalue()
    assert "never retrieved" in stream.getvalue()


def test_a_repeated_cause_is_written_a_few_times_and_then_counted() -> None:
    stream, clock = io.StringIO(), ManualClock()
    logger = logger_to(RateLimitedHandler(stream, clock))

    for _ in range(50):
        logger.warning("br0: tcp:192.0.2.1: connection refused: is the controller running?")
    clock.now += WINDOW_S
    logger.warning("another cause")

    line = "br0: tcp:192.0.2.1: connection refused: is the controller running?"
    assert stream.getvalue().splitlines() == [line] * 3 + [f"{line} (suppressed 47 times)", "another cause"]


def test_the_counts_of_very_many_causes_are_a_few_lines() -> None:
    stream, clock = io.StringIO(), ManualClock()
    logger = logger_to(RateLimitedHandler(stream, clock, RateLimiter(per_cause=0)))
    for number in range(100):
        logger.warning("cause %d", number)

    clock.now += WINDOW_S
    logger.warning("one more")

    assert len(stream.getvalue().splitlines()) == 21
    assert stream.getvalue().splitlines()[-1] == "80 other causes (suppressed 80 times)"


def test_a_named_cause_counts_messages_with_changing_figures_together() -> None:
    stream = io.StringIO()
    logger = logger_to(RateLimitedHandler(stream, ManualClock()))

    for number in range(50):
        logger.warning("br0: %d frames lost", number, extra={"cause": "br0: frames lost"})

    assert stream.getvalue().splitlines() == [f"br0: {number} frames lost" for number in range(3)]


def test_different_causes_do_not_silence_each_other() -> None:
    limiter = RateLimiter(per_cause=1)

    assert [limiter.allow(cause, 0.0) for cause in ["a", "b", "a", "c"]] == [True, True, False, True]


def test_all_causes_together_are_bounded() -> None:
    limiter = RateLimiter(per_cause=3, total=300)

    written = sum(limiter.allow(f"cause {number}", 0.0) for number in range(3 * MAX_CAUSES))
    suppressed = sum(count for _, count in limiter.summaries(WINDOW_S))

    assert written == 300
    assert written + suppressed == 3 * MAX_CAUSES


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=60))
def test_no_message_is_lost_without_being_counted(steps: list[tuple[str, float]]) -> None:
    limiter = RateLimiter(per_cause=2, total=4)
    now = 0.0
    written = counted = 0

    for cause, delay in steps:
        now += delay
        counted += sum(count for _, count in limiter.summaries(now))
        written += limiter.allow(cause, now)
    counted += sum(count for _, count in limiter.summaries(now + 2 * WINDOW_S))

    assert written + counted == len(steps)


def test_a_log_that_cannot_be_written_raises_nothing() -> None:
    stream = io.StringIO()
    logger = logger_to(RateLimitedHandler(stream, ManualClock()))
    stream.close()

    logger.warning("nobody hears this")
    logger.warning("%d arguments", "wrong")


@pytest.mark.usefixtures("untouched_logging")
def test_a_line_has_time_level_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    set_up_logging(stream)

    logging.getLogger("inband.control").info("br0: connected")
    logging.getLogger("inband.control").debug("not shown")
    logging.getLogger("library").info("not shown")

    assert stream.getvalue().splitlines()[0].split("Z ")[1] == "INFO br0: connected"
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.usefixtures("untouched_logging")
def test_the_journal_gets_levels_and_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    set_up_logging(stream)

    logging.getLogger("inband").warning("br0: gone")

    assert stream.getvalue() == "<4>br0: gone\n"


@pytest.mark.usefixtures("untouched_logging")
def test_levels_are_set_with_open_vswitchs_words() -> None:
    logging.getLogger("inband.runtime.logs_test")
    set_level("dbg")
    set_level("runtime.logs_test:err")

    assert logging.getLogger("inband").level == logging.DEBUG
    assert logging.getLogger("inband.runtime.logs_test").level == logging.ERROR


@pytest.mark.parametrize("spec", ["nonsense:dbg", "runtime.nonsense:dbg"])
def test_a_module_that_does_not_log_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="no destination, level, or module"):
        set_level(spec)


@pytest.mark.parametrize("spec", ["", "dbg:info", "a:b", "console:file", "PATTERN:console:%m"])
def test_a_spec_that_says_nothing_or_too_much_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"levels are off, emer|cannot be changed"):
        set_level(spec)


@pytest.mark.usefixtures("untouched_logging")
def test_a_spec_may_name_a_destination_and_only_the_console_is_one() -> None:
    logging.getLogger("inband.runtime.logs_test").setLevel(logging.INFO)

    set_level("ANY:syslog:off")
    set_level("err,console runtime.logs_test")

    assert logging.getLogger("inband").level != LEVELS["off"]
    assert logging.getLogger("inband.runtime.logs_test").level == logging.ERROR
    assert "runtime.logs_test   ERR        OFF        OFF" in level_table()


@pytest.mark.usefixtures("untouched_logging")
def test_each_line_can_be_a_document() -> None:
    stream = io.StringIO()
    set_up_logging(stream, form=LogFormat.JSON)

    logging.getLogger("inband.runtime.json_test").warning("br0: %s\nand more", "gone")
    try:
        raise ValueError("defect")
    except ValueError:
        logging.getLogger("inband").exception("failed")

    first, second = map(json.loads, stream.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "warning", "module": "runtime.json_test", "message": "br0: gone\nand more"}
    assert "ValueError: defect" in second["exception"]
