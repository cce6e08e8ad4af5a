"""The object that ships is what the sources compile to."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import inband
from tests.unit.datapath.btf import section

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = Path(inband.__file__).with_name("datapath") / "ebpf" / "fastpath.bpf.o"


def test_it_is_what_the_sources_compile_to(tmp_path: Path) -> None:
    """Other compilers choose other instructions, so this asks only the one it was built with (see ``make bpf``).

    Who names it in CLANG, as for ``make bpf``, gets a failure where it is missing.
    """
    there = shutil.which("clang-14") is not None and Path("/usr/include/bpf/bpf_helpers.h").exists()
    if not there and "CLANG" not in os.environ:
        pytest.skip("needs clang-14 and libbpf-dev")
    made = tmp_path / "fastpath.bpf.o"

    subprocess.run(["make", "-s", "bpf", f"BPF_OBJECT={made}"], cwd=ROOT, check=True)

    # The kernel's headers may be newer here: the types differ then, instructions and maps do not.
    for name in (".text", "tc", ".maps", "license"):
        assert section(made, name) == section(SHIPPED, name), "the sources have changed: run `make bpf` and commit"
