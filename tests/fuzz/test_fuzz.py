"""Every target: inputs that are kept run, and the fuzzer finds nothing in a few seconds. `make fuzz` takes longer."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.fuzz.fuzzing import CORPUS, HERE, NAMES, REGRESSIONS, Script, kept, load, sized

SECONDS = 6
MAX_CORPUS_BYTES = 300_000
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_kept_find_nothing(name: str) -> None:
    target, inputs = load(name), kept(name)

    for path in inputs:
        try:
            target.check(path.read_bytes())
        except Exception as error:
            error.add_note(f"to see it alone: python -m tests.fuzz {name} --replay {path}")
            raise

    assert inputs


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ATHERIS, reason="there are no wheels of atheris for this machine")
@pytest.mark.parametrize("name", NAMES)
def test_the_fuzzer_finds_nothing(name: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", name, "--fresh", "--seconds", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=HERE.parents[1])

    # Its last lines name the input and how to run it again; before libFuzzer's are those of the traceback.
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-8000:]}"


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    inputs = [path for folder in (CORPUS, REGRESSIONS) for path in folder.glob("*/*")]

    assert {path.parent.name for path in inputs} == set(NAMES)
    assert sum(path.stat().st_size for path in inputs) < MAX_CORPUS_BYTES


def test_a_script_gives_what_is_there_and_then_nothing() -> None:
    script = Script(bytes((7,)) + sized(b"abc") + b"\1\2\0\xff")

    assert script.number() == 7
    assert script.sized() == b"abc"
    assert script.number(2) == 0x102
    assert script.sized() == b""
    assert not script
    assert (script.number(4), script.take(4)) == (0, b"")
