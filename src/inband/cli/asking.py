"""How a verb asks a running switch: one call over its control socket."""

from __future__ import annotations

import functools
import math
import select
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from inband.cli.session import ssh_session
from inband.runtime.unixctl_client import CONTROL_SOCKET, call, find_run_dir

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])


def run_dir_option(function: _Decorated) -> _Decorated:
    """``--run-dir``, which may be given before or after the verb."""
    return click.option("--run-dir", metavar="DIR", help="The switch's run directory.")(function)


def changing(function: Callable[..., None]) -> Callable[..., None]:
    """``--confirm`` and ``--force`` of a verb that changes the switch; it calls ``ask_to_change``."""
    confirm = click.option("--confirm", type=float, metavar="SECONDS", help="Undo it unless `inband confirm` follows.")
    force = click.option("--force", is_flag=True, help="Also when it cuts the session that you make it over.")

    @functools.wraps(function)
    def run(*, confirm: float | None, force: bool, **given: object) -> None:
        options = [] if confirm is None else [f"--confirm={confirm:g}"]
        options += ["--force"] if force else []
        session = ssh_session()
        options += [f"--session={session}"] if session else []
        click.get_current_context().meta[_OPTIONS] = options
        function(**given)

    return confirm(force(run))


_OPTIONS = "inband.change.options"


def ask_to_change(run_dir: str | None, verb: str, arguments: Sequence[str] = ()) -> None:
    """Have a change made, with the options that ``changing`` has read. Raises InbandError."""
    print_answer(ask(run_dir, verb, [*click.get_current_context().meta[_OPTIONS], *arguments]))


def ask(run_dir: str | None, method: str, arguments: Sequence[str] = ()) -> str:
    """Run a command of ours in the switch; ``run_dir`` is what stood behind the verb. Raises InbandError."""
    return ask_plainly(run_dir, f"inband/{method}", arguments)


def ask_plainly(run_dir: str | None, method: str, arguments: Sequence[str] = ()) -> str:
    """Run a command in the switch by its whole name. Raises InbandError."""
    before_the_verb: str | None = click.get_current_context().find_object(str)
    path = find_run_dir(run_dir or before_the_verb) / CONTROL_SOCKET
    return call(path, method, arguments)


class Seconds(click.FloatRange):
    """A number of seconds: click's ranges let what is not a number pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click's."""
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


def wait_for_reader(seconds: float) -> None:
    """Wait so long; raises BrokenPipeError as soon as nobody reads any more what this command prints (``| head``)."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # the kernel tells of the end of a pipe unasked
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


def print_answer(text: str) -> None:
    """Print what the switch answered, as it is."""
    if text:
        click.echo(text, nl=not text.endswith("\n"))


def print_fitting(text: str) -> None:
    """Print an answer of long lines: folded on a terminal that is narrower, as it is in a pipe."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = "".join(f"{line}\n" for line in text.splitlines() for line in folded(line, width))
    print_answer(text)


def folded(line: str, width: int) -> Iterator[str]:
    """A line in several of ``width`` characters, those after the first further in: where its parts end, else its words.

    No word is broken, whatever the width.
    """
    indent = " " * (len(line) - len(line.lstrip()))
    line, further = line.strip(), indent
    while len(further) + len(line) > width:
        room = max(0, width - len(further) + 1)
        at = line.rfind("; ", 0, room) + 1 or line.rfind(" ", 1, room)
        if at <= 0:
            at = line.find(" ")
        if at <= 0:
            break
        yield further + line[:at]
        line, further = line[at:].strip(), indent + _FURTHER
    yield further + line


_FURTHER = "    "
