"""What only the tests need, no part of the switch imports."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
IMPORT_ALL = """
import pkgutil, sys
for name in sys.argv[1:]:
    sys.modules[name] = None  # so that importing it fails
import inband
for module in pkgutil.walk_packages(inband.__path__, "inband."):
    # The latter is read by Mininet, with the Python that has Mininet.
    if not module.name.endswith(("__main__", ".inband_mininet")):
        __import__(module.name)
"""


def test_every_module_is_imported_without_what_the_tests_need() -> None:
    needed = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["test"]
    names = [requirement.partition(">")[0].replace("-", "_") for requirement in needed]
    assert "pyroute2" in names

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    assert done.returncode == 0
