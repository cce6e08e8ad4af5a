"""The wheel is all that a switch needs: installed in a clean environment, outside the tree, it switches.

Two environments for each Python of this machine that the package admits: the newest releases of what it depends on, and
exactly the oldest that pyproject.toml allows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = [f"python3.{minor}" for minor in (11, 12, 13, 14)]
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def _runs(name: str) -> bool:
    found = shutil.which(name)
    return found is not None and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0


def _floors() -> list[str]:
    """The oldest releases that the package says it runs with."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [each.partition(",")[0].replace(">=", "==") for each in wanted]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    subprocess.run([ROOT / "tools" / "wheel", sys.executable, dist], check=True, timeout=100)
    (made,) = dist.iterdir()
    return made


@pytest.fixture(scope="module", params=["newest", "oldest"])
def constraints(request: pytest.FixtureRequest) -> list[str]:
    return _floors() if request.param == "oldest" else []


@pytest.fixture(scope="module", params=[name for name in PYTHONS if _runs(name)])
def installed(
    request: pytest.FixtureRequest, wheel: Path, constraints: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of an environment's commands, with the wheel in it."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([shutil.which(request.param) or request.param, "-m", "venv", environment], check=True, timeout=60)
    python = environment / "bin" / "python"
    subprocess.run([python, *PIP, wheel, *constraints], check=True, timeout=110, cwd=environment)
    yield environment / "bin"
    shutil.rmtree(environment)


def test_its_commands_run_outside_the_tree(installed: Path, tmp_path: Path) -> None:
    def out(*argv: str) -> str:
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30).stdout

    imported = out(str(installed / "python"), "-c", "import inband; print(inband.__file__, inband.__version__)").split()

    assert imported[0].startswith(str(installed.parent))
    assert os.access(Path(imported[0]).parent / "host" / "dhcp_script.sh", os.X_OK)
    assert out(str(installed / "inband"), "--version") == f"inband {imported[1]}\n"
    assert "Commands:" in out(str(installed / "inband"), "--help")


def test_it_runs_a_switch_on_the_ebpf_datapath(installed: Path) -> None:
    with Lab() as lab:
        rig = Rig(lab, str(installed / "inband"))
        before = rig.state()
        process = rig.start("--port", "p1", "--port", "p2", "--datapath", "ebpf", "--address", "10.0.0.1/24")

        assert rig.h1.pings("10.0.0.12") == 3
        assert rig.h1.pings("10.0.0.1") == 3
        assert "ebpf" in rig.inband("show").stdout
        assert "verdict:" in rig.inband("trace", "br0", "in_port=1,icmp,nw_dst=10.0.0.12").stdout
        assert process.stop() == 0
        assert rig.state() == before
