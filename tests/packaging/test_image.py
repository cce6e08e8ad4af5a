"""The image runs a switch, and nothing of the machine that built it is in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
# The root directory of the image with what a container tool mounts there, and the run directory at its place.
ENTER = """#!/bin/sh
exec unshare --mount --propagation private sh -euc '
    mount -t proc proc {root}/proc
    mount -t sysfs sysfs {root}/sys
    mount -t tmpfs tmpfs {root}/tmp
    mkdir -p {root}{run_dir}
    mount --bind {run_dir} {root}{run_dir}
    exec chroot {root} /usr/bin/inband "$@"' inband "$@"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    dist, root = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("root")
    subprocess.run([ROOT / "tools" / "image", sys.executable, dist], check=True, timeout=350)
    subprocess.run(["tar", "xzf", dist / "inband-root.tar.gz", "-C", root], check=True, timeout=60)
    yield root
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True, timeout=60)


def test_where_packages_come_from_is_not_in_it(root: Path) -> None:
    settings = [path.read_text() for path in (root / "etc/apt").rglob("*") if path.is_file()]

    assert not [text for text in settings if "http" in text or "file:" in text]
    assert not (root / "etc/resolv.conf").exists()
    assert not (root / "etc/hostname").exists()
    assert list((root / "var/lib").glob("apt/lists/*")) == []


def test_it_runs_a_switch(root: Path) -> None:
    with Lab() as lab:
        command = lab.folder / "inband"
        rig = Rig(lab, str(command))
        rig.run_dir.mkdir(mode=0o700)
        command.write_text(ENTER.format(root=root, run_dir=rig.run_dir))
        command.chmod(0o755)

        process = rig.start("--port", "p1", "--port", "p2", "--datapath", "ebpf", "--address", "10.0.0.1/24")

        assert rig.h1.pings("10.0.0.12") == 3
        assert rig.h1.pings("10.0.0.1") == 3
        assert "ebpf" in rig.inband("show").stdout
        assert process.stop() == 0
