"""`inband save`: what commands made is there again after a reload and a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.net import Lab
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root

FILE = """# who calls: 555
[[bridge]]
name = "br0"
port = ["p1"]
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("ihw") as lab:
        yield Rig(lab)


def test_what_commands_made_outlives_reload_and_restart(rig: Rig) -> None:
    file = Path(rig.config(FILE))
    file.chmod(0o640)
    process = rig.start("--config", str(file))
    for step in (("add-port", "br0", "p2"), ("set", "br0", "fail-mode=secure", "queue=2"), ("add-bridge", "br1")):
        assert rig.inband(*step).returncode == 0

    before = rig.inband("check")
    saved, again, after = rig.inband("save"), rig.inband("save"), rig.inband("check")

    assert before.returncode == 1
    assert "br1" in before.stdout
    assert (saved.returncode, saved.stdout) == (0, f"{file}: written; what it said before is in {file}.old\n")
    assert again.stdout == f"{file} says that already\n"
    assert after.returncode == 0, after.stdout
    assert file.with_name(f"{file.name}.old").read_text() == FILE
    assert file.stat().st_mode & 0o777 == 0o640
    assert not list(file.parent.glob(f".{file.name}*"))

    rig.call("inband/reload")
    assert rig.ports() == {"p1": 1, "p2": 2}
    assert process.stop() == 0
    process = rig.start("--config", str(file))
    assert rig.ports() == {"p1": 1, "p2": 2}
    assert rig.ports("br1") == {}
    assert 'fail-mode = "secure"\nqueue = 2' in rig.inband("save", "-").stdout
    assert process.stop() == 0


def test_it_refuses_what_it_cannot_keep_and_then_writes_nothing(rig: Rig) -> None:
    process = rig.start("--bridge", "br0", "--port", "p1")
    nowhere = rig.inband("save")
    away = rig.inband("save", str(rig.lab.folder / "no" / "where.toml"))
    rig.inband("add-port", "br0", "p2", "--confirm", "60")
    target = rig.lab.folder / "new.toml"
    unconfirmed = rig.inband("save", str(target))

    assert "inband run --config FILE" in one_line(nowhere)
    assert "No such file or directory" in one_line(away)
    assert "is not confirmed" in one_line(unconfirmed)
    assert not target.exists()
    assert rig.inband("confirm").returncode == 0
    assert rig.inband("save", str(target)).stdout == f"{target}: written\n"
    assert target.read_text() == '[[bridge]]\nname = "br0"\nport = ["p1", "p2"]\n'
    assert process.stop() == 0
