"""Ctrl-C while the command is still being loaded ends it, as a program in C, and leaves no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPT = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[-1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
command, sys.argv = sys.argv[1], [sys.argv[1], "run", "--config", "/nowhere.toml", sys.argv[2]]
runpy.run_path(command, run_name="__main__")
"""
"""Runs the command and sends SIGINT to itself when a module is about to be imported."""


@pytest.mark.parametrize("module", ["click", "inband.cli.run", "inband.cli.verbs", "inband.runtime.unixctl_client"])
def test_an_interrupt_while_modules_are_loaded_ends_the_command_without_a_traceback(module: str) -> None:
    command = Path(sys.executable).with_name("inband")

    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT, str(command), module], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.stderr == ""
    assert done.returncode == -signal.SIGINT
