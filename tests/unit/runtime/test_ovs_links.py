"""Names in Open vSwitch's run directory: ours are found, another program's are left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inband.runtime.ovs_links import OvsLinks
from inband.runtime.rundir import RunDir


@pytest.fixture
def ovs(tmp_path: Path) -> Path:
    return tmp_path / "openvswitch"


def test_tools_find_the_process_and_each_bridge_by_name(tmp_path: Path, ovs: Path) -> None:
    run_dir = RunDir.take(tmp_path / "run", ovs)
    run_dir.announce("br0")

    pid = os.getpid()
    assert {path.name: path.readlink() for path in ovs.iterdir()} == {
        "br0.mgmt": run_dir.path / "br0.mgmt",
        "br0.snoop": run_dir.path / "br0.snoop",
        **{f"{name}.pid": run_dir.path / "inband.pid" for name in ("inband", "ovs-vswitchd")},
        **{f"{name}.{pid}.ctl": run_dir.path / "inband.ctl" for name in ("inband", "ovs-vswitchd")},
    }

    run_dir.withdraw("br0")
    assert not (ovs / "br0.mgmt").is_symlink()
    run_dir.release()
    assert list(ovs.iterdir()) == []


def test_files_of_another_program_are_neither_replaced_nor_removed(
    tmp_path: Path, ovs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ovs.mkdir()
    (ovs / "ovs-vswitchd.pid").write_text("17\n")
    (ovs / "br0.mgmt").symlink_to(tmp_path)
    (ovs / "other.pid").symlink_to(tmp_path / "nowhere")

    links = OvsLinks(ovs, tmp_path / "run")
    links.add_daemon("inband.pid", "inband.ctl")
    assert not links.add("br0.mgmt", "br0.mgmt")
    links.remove("br0.mgmt")
    links.close()

    assert sorted(path.name for path in ovs.iterdir()) == ["br0.mgmt", "other.pid", "ovs-vswitchd.pid"]
    assert (ovs / "ovs-vswitchd.pid").read_text() == "17\n"
    assert "ovs-vswitchd.pid is another program's" in caplog.text


def test_a_link_that_a_killed_switch_left_is_replaced(tmp_path: Path, ovs: Path) -> None:
    ovs.mkdir()
    (ovs / "br0.mgmt").symlink_to(tmp_path / "gone" / "br0.mgmt")

    assert OvsLinks(ovs, tmp_path / "run").add("br0.mgmt", "br0.mgmt")

    assert (ovs / "br0.mgmt").readlink() == tmp_path / "run/br0.mgmt"


def test_a_directory_that_cannot_be_made_is_said_and_no_reason_to_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    assert not OvsLinks(tmp_path / "file/below", tmp_path / "run").add("br0.mgmt", "br0.mgmt")

    assert "do not find it" in caplog.text


def test_a_run_directory_that_is_open_vswitchs_too_needs_no_links(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_dir = RunDir.take(tmp_path / "run", tmp_path / "run")
    run_dir.announce("br0")
    run_dir.release()

    assert list(run_dir.path.iterdir()) == []
    assert caplog.text == ""
