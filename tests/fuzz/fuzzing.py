"""What every fuzz target is, and where its inputs are kept. Nothing of the switch is imported here.

A target is a module ``target_NAME`` here, with a value ``TARGET``. What libFuzzer (by atheris) changes at random is one
string of bytes; ``Script`` reads it as a row of choices, so that any bytes at all are a run of the target.

Inputs are kept in two folders: ``corpus/NAME`` reaches what the fuzzer has ever reached, in as few inputs as it takes,
and ``regressions/NAME`` has an input for each defect that was found, named after it. Both run in the tests.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CORPUS, REGRESSIONS = HERE / "corpus", HERE / "regressions"
WORK = HERE.parents[1] / "build" / "fuzz"
"""What is found here, not kept by Git: new inputs (``NAME/corpus``) and crashes (``NAME/found``)."""

NAMES = tuple(sorted(path.stem.removeprefix("target_") for path in HERE.glob("target_*.py")))


@dataclass(frozen=True)
class Target:
    """Something that is fed bytes from outside.

    ``check(data)`` raises whatever shows a defect. ``seeds`` are good inputs, to begin with; ``words`` are bytes that
    mean something at many places.
    """

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    max_bytes: int = 4096


def load(name: str) -> Target:
    """Import a target."""
    target: Target = importlib.import_module(f"tests.fuzz.target_{name}").TARGET
    return target


def kept(name: str) -> list[Path]:
    """The inputs of a target that Git keeps."""
    return sorted(path for folder in (CORPUS, REGRESSIONS) for path in (folder / name).glob("*"))


@contextmanager
def empty_folder(path: Path) -> Iterator[Path]:
    """A folder without anything in it, which is gone afterwards."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Script:
    """Bytes read as choices: at the end of them everything is 0 or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next bytes, fewer when fewer are left."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def number(self, size: int = 1) -> int:
        """The next bytes as a number, high byte first."""
        return int.from_bytes(self.take(size), "big")

    def sized(self, size: int = 2) -> bytes:
        """A length of ``size`` bytes and what it counts."""
        return self.take(self.number(size))


def sized(data: bytes, size: int = 2) -> bytes:
    """What ``Script.sized`` reads."""
    return len(data).to_bytes(size, "big") + data
