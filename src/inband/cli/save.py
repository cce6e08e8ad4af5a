"""``inband save``: what runs becomes what the file says, so that a reboot or a reload takes nothing away."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import click

from inband.cli.asking import ask_plainly, print_answer, run_dir_option
from inband.errors import HostError, UsageError

_ON_OUTPUT = "-"
# What a switch was told where it is started belongs there, unless the file says it already.
_PLACES = ("run-dir", "state-dir")


@click.command()
@click.argument("file", required=False)
@run_dir_option
def save(file: str | None, run_dir: str | None) -> None:
    """Write what runs now into FILE, or the switch's own file, so that a reload or a reboot takes nothing away.

    What the file said before, with its comments, is in FILE.old then. With - it is printed instead.

    \b
    Example:
        inband save
        inband save - | diff /etc/inband.toml -
    """
    running = json.loads(ask_plainly(run_dir, "config/show"))
    known, waiting = running.pop("file"), running.pop("waiting")
    if running.get("ovsdb") is not None:
        raise UsageError("this switch follows a database, which keeps its configuration: change it with ovs-vsctl")
    if waiting is not None and file != _ON_OUTPUT:
        raise UsageError(f"`{waiting}` is not confirmed: `inband confirm` or `inband rollback` first")
    if file is None and known is None:
        raise UsageError("this switch has no file: write inband save FILE, then start it by inband run --config FILE")
    from inband.runtime.config_text import toml_of

    if file == _ON_OUTPUT:
        print_answer(toml_of(running))
        return
    path = Path(file or known)
    before = _read(path)
    said = {} if before is None else _keys_of(before)
    text = toml_of({key: value for key, value in running.items() if key not in _PLACES or key in said})
    if text == before:
        print_answer(f"{path} says that already")
        return
    _write(path, text, before)
    print_answer(f"{path}: written" + ("" if before is None else f"; what it said before is in {path}.old"))


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"read {path}", getattr(error, "strerror", None) or str(error)) from None


def _keys_of(text: str) -> dict[str, object]:
    """What a file says; one that is wrong says nothing, and is replaced."""
    import tomllib

    with suppress(tomllib.TOMLDecodeError):
        return tomllib.loads(text)
    return {}


def _write(path: Path, text: str, before: str | None) -> None:
    """Replace a file at once, with the rights it had: whoever reads it sees the old one or the new one."""
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if before is None:
            fresh.chmod(0o644)
        else:
            there = target.stat()
            os.chown(fresh, there.st_uid, there.st_gid)
            fresh.chmod(there.st_mode & 0o7777)
            shutil.copy2(target, target.with_name(f"{target.name}.old"))
        os.replace(fresh, target)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise HostError(f"write {path}", error.strerror or str(error)) from None
