"""Which datapath a bridge gets, by what kernel and privileges allow, and two kernels' TCP through it."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import probe
from inband.runtime.datapaths import make_datapath
from inband.switch.config import DatapathKind
from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab
from lab.process import limited
from tests.packets.columns import own_namespace, require_root
from tests.system.test_userspace_tcp import RECEIVE, SEND, SIZE

pytestmark = pytest.mark.root

NO_VALUE = struct.pack("<BBhi", 0xBF, 0x90, 0, 0)
"""r0 = r9, which has no value."""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(DatapathKind.AUTO, "ebpf"), (DatapathKind.EBPF, "ebpf"), (DatapathKind.USERSPACE, "userspace")],
)
def test_where_ebpf_works_it_is_taken_unless_another_is_named(kind: DatapathKind, expected: str) -> None:
    with own_namespace():
        datapath, note = make_datapath(kind)

        assert (datapath.kind, note) == (expected, None)
        datapath.close()


CHOOSE = """
import sys
from inband.switch.config import DatapathKind
from inband.runtime.datapaths import make_datapath
datapath, note = make_datapath(DatapathKind(sys.argv[1]))
print(datapath.kind, note)
"""


def _without_ebpf(kind: str) -> subprocess.CompletedProcess[str]:
    require_root()
    command = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system forbids unprivileged user namespaces")
    chosen = [*command, sys.executable, "-c", CHOOSE, kind]
    return subprocess.run(chosen, capture_output=True, text=True, check=False, env={"PYTHONPATH": "src"})


def test_where_ebpf_is_refused_auto_takes_the_other_and_says_why() -> None:
    done = _without_ebpf("auto")

    assert done.stdout.startswith("userspace datapath auto: userspace, for eBPF is not available: ")
    assert "CAP_BPF" in done.stdout


def test_where_ebpf_is_refused_and_wanted_the_reason_is_an_error() -> None:
    done = _without_ebpf("ebpf")

    assert "HostError" in done.stderr
    assert "CAP_BPF" in done.stderr


def test_another_datapath_takes_the_place_of_what_a_dead_process_left(tmp_path: Path) -> None:
    with own_namespace():
        left = EbpfDatapath(pin_dir=tmp_path / "br0")
        left.abandon()

        datapath, _ = make_datapath(DatapathKind.USERSPACE, tmp_path / "br0")

        assert not (tmp_path / "br0").exists()
        datapath.close()


def test_here_it_can_be_used() -> None:
    require_root()

    assert probe() is None


PROBE = "from inband.datapath.ebpf.kernel import probe\nprint(probe())"


@pytest.mark.parametrize(
    ("keep", "about"),
    [("-all", "CAP_NET_RAW"), ("-all,+net_raw,+net_admin", "CAP_BPF"), ("-bpf,-sys_admin", "CAP_BPF")],
)
def test_without_privileges_the_reason_says_what_is_missing(keep: str, about: str) -> None:
    require_root()
    command = [*limited(keep), sys.executable, "-c", PROBE]

    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": "src"})

    assert about in done.stdout, done.stderr


def test_in_a_user_namespace_the_reason_says_that_it_cannot_be() -> None:
    require_root()
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", PROBE]
    if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system forbids unprivileged user namespaces")

    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": "src"})

    assert "initial user namespace" in done.stdout, done.stderr


def test_without_the_library_the_reason_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libnosuch.so.1")
    libbpf._library.cache_clear()
    try:
        assert "libbpf1" in str(probe())
    finally:
        libbpf._library.cache_clear()


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_tcp_connection_arrives_whole(offload: str) -> None:
    with Lab("ihj", offloads=offload == "on") as lab:
        left, right, switch = (lab.namespace(name) for name in ("left", "right", "switch"))
        lab.link(left, "eth0", switch, "p1")
        lab.link(right, "eth0", switch, "p2")
        left.address("eth0", "10.9.0.1/24")
        right.address("eth0", "10.9.0.2/24")
        learning = [sys.executable, "-m", "lab.learning_switch", "p1", "p2", "--ebpf"]
        switch.start(*learning, env={"PYTHONPATH": "src"})
        receiver = right.start(sys.executable, "-c", RECEIVE)
        assert until(lambda: "listening" in receiver.tail(), 10)
        assert until(lambda: left.pings("10.9.0.2", count=1) == 1, 10)

        left.run(sys.executable, "-c", SEND)

        receiver.wait(10)
        assert hashlib.sha256(bytes(range(250)) * (SIZE // 250)).hexdigest() in receiver.tail()


def _first_instruction(data: bytes, section: bytes) -> int:
    """Where a section's bytes begin in an object (elf(5), 64 bits)."""
    at, size, count, names = *struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, at + number * size) for number in range(count)]
    strings = headers[names][4]
    return next(int(each[4]) for each in headers if data[strings + each[0] :].startswith(section + b"\0"))


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        (NO_VALUE, "R9 !read_ok"),
        (struct.pack("<BBhi", 0x85, 0, 0, 9999), "invalid func"),  # a helper that this kernel does not have
    ],
)
def test_why_the_verifier_refuses_a_program_is_said_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instruction: bytes, words: str
) -> None:
    require_root()
    broken = _broken_program(tmp_path, instruction)
    monkeypatch.setattr(libbpf.BpfObject.__init__, "__defaults__", (broken,))
    log = tmp_path / "log"

    assert words in str(probe())
    with own_namespace():
        datapath, note = make_datapath(DatapathKind.AUTO, log=log)
    assert datapath.kind == "userspace"
    assert note is not None
    assert words in note
    assert str(log) in note
    assert words in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    datapath.close()


def _broken_program(folder: Path, instruction: bytes) -> Path:
    """The object as it ships, but for its first instruction."""
    shipped = Path(libbpf.__file__).with_name("fastpath.bpf.o").read_bytes()
    at = _first_instruction(shipped, b"tc")
    broken = folder / "broken.o"
    broken.write_bytes(shipped[:at] + instruction + shipped[at + len(instruction) :])
    return broken


RUN_BROKEN = """
import sys
from pathlib import Path
from inband.cli import main
from inband.datapath.ebpf.libbpf import BpfObject
BpfObject.__init__.__defaults__ = (Path(sys.argv.pop(1)),)
sys.exit(main())
"""


def test_log_and_show_name_the_file_that_has_all_that_the_verifier_said(tmp_path: Path) -> None:
    require_root()
    broken = _broken_program(tmp_path, NO_VALUE)
    with Lab("htv") as lab:
        switch = lab.namespace("switch")
        run_dir = lab.folder / "run"
        options = ["--run-dir", str(run_dir), "--state-dir", str(lab.folder / "state"), "--bridge", "br0"]
        process = switch.start(sys.executable, "-c", RUN_BROKEN, str(broken), "run", *options)

        assert until(lambda: "started with the userspace datapath" in process.tail(), 20), process.tail()

        log = run_dir / "br0.verifier.log"
        assert "R9 !read_ok" in log.read_text()
        (line,) = [line for line in process.tail().splitlines() if str(log) in line]
        assert "WARNING bridge br0: datapath auto: userspace" in line
        assert str(log) in switch.run(COMMAND, "show", "--run-dir", str(run_dir))


def test_where_it_is_loaded_again_the_log_of_before_goes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("said before")
    with own_namespace():
        datapath, note = make_datapath(DatapathKind.EBPF, log=log)
        datapath.close()

    assert note is None
    assert not log.exists()
