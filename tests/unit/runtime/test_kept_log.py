"""What the verifier said at length is in a file that is its owner's alone, and no longer than it may be."""

from __future__ import annotations

from pathlib import Path

from inband.errors import HostError
from inband.runtime.kept_log import MAX_BYTES, keep_log, log_file


def refusal(log: str) -> HostError:
    return HostError("load the program", "refused (R9 !read_ok)", errno=13, log=log)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = log_file(tmp_path, "br0")

    error = keep_log(refusal("0: R1=ctx\n1: R9 !read_ok\n"), path)

    assert str(error) == f"load the program: refused (R9 !read_ok); the verifier's log is in {path}"
    assert error.errno == 13
    assert path.read_text() == "0: R1=ctx\n1: R9 !read_ok\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_a_log_that_is_too_long_the_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"

    keep_log(refusal("x" * 2 * MAX_BYTES + "the reason"), path)

    data = path.read_bytes()
    assert len(data) == MAX_BYTES
    assert data.startswith(b"(the log is longer: this is its end)\nxx")
    assert data.endswith(b"xthe reason")


def test_one_of_before_gives_way_whatever_it_is(tmp_path: Path) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    other.write_text("untouched")
    other.chmod(0o644)
    path.symlink_to(other)

    keep_log(refusal("said now"), path)

    assert not path.is_symlink()
    assert path.read_text() == "said now"
    assert other.read_text() == "untouched"


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    error = keep_log(refusal("said"), tmp_path / "no" / "log")

    assert "cannot be kept in" in str(error)
    assert "No such file or directory" in str(error)


def test_without_a_log_there_is_no_file(tmp_path: Path) -> None:
    error = refusal("")

    assert keep_log(error, tmp_path / "log") is error
    assert not (tmp_path / "log").exists()
