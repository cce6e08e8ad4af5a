"""The files of network-key: good ones, and one row for each way to be bad."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inband.errors import UsageError
from inband.runtime.config_load import load
from inband.runtime.network_key import read_network_keys
from inband.switch.config import BridgeConfig, RunOptions

SECRET = b"0123456789abcdef0123456789abcdef"


def secret_file(path: Path, data: bytes = SECRET, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def bridge(*files: Path) -> BridgeConfig:
    return BridgeConfig("br0", network_keys=files)


def test_a_bridge_without_files_has_no_key() -> None:
    assert read_network_keys(bridge()) is None


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_how_the_line_ends_makes_no_difference(tmp_path: Path, end: bytes) -> None:
    plain, ended = secret_file(tmp_path / "plain"), secret_file(tmp_path / "ended", SECRET + end)

    assert read_network_keys(bridge(plain)) == read_network_keys(bridge(ended))


def test_of_two_files_the_first_one_signs(tmp_path: Path) -> None:
    one, two = secret_file(tmp_path / "1"), secret_file(tmp_path / "2", SECRET[::-1], 0o400)

    both, back = read_network_keys(bridge(one, two)), read_network_keys(bridge(two, one))

    assert both is not None
    assert back is not None
    assert both.keys == back.keys[::-1]
    assert both.keys[0] != both.keys[1]


def _missing(path: Path) -> None:
    """There is none."""


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _short(path: Path) -> None:
    secret_file(path, SECRET[1:] + b"\n")


def _long(path: Path) -> None:
    secret_file(path, bytes(4097))


def _open_to_group(path: Path) -> None:
    secret_file(path, mode=0o640)


def _open_to_others(path: Path) -> None:
    secret_file(path, mode=0o602)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "cannot be read: No such file or directory; write one with `openssl rand -base64 32`"),
        (_directory, "is a directory: name a file"),
        (_pipe, "is no regular file"),
        (_short, "has 31 bytes, at least 32 are needed"),
        (_long, "is longer than 4096 bytes"),
        (_open_to_group, "group or others have access to it \\(mode 0640\\): `chmod 600"),
        (_open_to_others, "group or others have access to it \\(mode 0602\\)"),
    ],
)
def test_a_file_that_does_not_do_is_named_with_what_to_do(tmp_path: Path, make: object, words: str) -> None:
    assert callable(make)
    make(tmp_path / "key")

    with pytest.raises(UsageError, match=f"bridge br0: network-key {tmp_path}/key: {words}"):
        read_network_keys(bridge(tmp_path / "key"))


@pytest.mark.root
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "key")
    os.chown(file, 65534, -1)

    with pytest.raises(UsageError, match="belongs to user 65534, who could change it"):
        read_network_keys(bridge(file))


def test_three_files_are_refused() -> None:
    with pytest.raises(UsageError, match="network-key names 3 files: at most two"):
        load(RunOptions(settings=(("network-key", ("/a", "/b", "/c")),)))
