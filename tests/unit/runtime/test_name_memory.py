"""The file of what names were: written and read back, and nothing that is in it can do harm."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from inband.control.name_events import KnownAddress
from inband.runtime.name_memory import FILE, MAX_BYTES, read, write

NAME = "ctl.example.net"
KNOWN = (
    KnownAddress(ip_address("192.0.2.1"), 150.0, ip_address("10.0.0.53")),
    KnownAddress(ip_address("2001:db8::1"), 160.5, None),
)


def test_what_was_written_is_read_back_on_another_clock(tmp_path: Path) -> None:
    write(tmp_path / FILE, {NAME: KNOWN}, offset_s=-1_000_000.0)

    found = read(tmp_path / FILE, offset_s=-1_000_050.0)

    assert [known.address for known in found[NAME]] == [known.address for known in KNOWN]
    assert [known.until for known in found[NAME]] == [100.0, 110.5]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert read(tmp_path / FILE, offset_s=0.0) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"names": 1}',
        '{"names": {"a": 1}}',
        '{"names": {"a": [1]}}',
        '{"names": {"a": [{}]}}',
        '{"names": {"a": [{"address": "x", "until": 1, "server": null}]}}',
        '{"names": {"a": [{"address": "192.0.2.1", "until": "soon", "server": null}]}}',
        "[" * 100_000,
        " " * (MAX_BYTES + 1),
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_a_file_that_is_not_ours_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)

    assert read(tmp_path / FILE, offset_s=0.0) == {}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "missing" / FILE, {NAME: KNOWN}, offset_s=0.0)

    assert not (tmp_path / "missing").exists()


def test_the_file_says_times_as_people_and_tools_know_them(tmp_path: Path) -> None:
    write(tmp_path / FILE, {NAME: KNOWN}, offset_s=-1_700_000_000.0)

    document = json.loads((tmp_path / FILE).read_text())
    assert document["names"][NAME][0] == {"address": "192.0.2.1", "until": 1_700_000_150.0, "server": "10.0.0.53"}
