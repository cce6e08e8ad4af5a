"""What is known of remotes' names, in a file: a switch that starts again while no DNS server answers still connects.

The file is a small JSON document in the state directory (or, where there is none, in the run directory), replaced as a
whole. Times in it are seconds since 1970. It is a
help, never a duty: one that cannot be read or written is as good as none, and says so once.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from inband.control.name_events import KnownAddress
from inband.vocabulary.addresses import IpAddress

log = logging.getLogger(__name__)

FILE = "names.json"
# Ten thousand names with a few addresses each; a larger file is not ours.
MAX_BYTES = 4 << 20


def read(path: Path, *, offset_s: float) -> dict[str, tuple[KnownAddress, ...]]:
    """What an earlier run wrote; ``offset_s`` leads from seconds since 1970 to the clock of instants."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        document = json.loads(data) if len(data) <= MAX_BYTES else {}
        return {name: tuple(_addresses(rows, offset_s)) for name, rows in document["names"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read: addresses of names are asked for anew: %s", path, error)
        return {}


def _addresses(rows: Iterable[Mapping[str, object]], offset_s: float) -> Iterator[KnownAddress]:
    for row in rows:
        server = row["server"]
        yield KnownAddress(
            ip_address(str(row["address"])),
            float(str(row["until"])) + offset_s,
            None if server is None else ip_address(str(server)),
        )


def write(path: Path, names: Mapping[str, Iterable[KnownAddress]], *, offset_s: float) -> None:
    """Replace the file, in one step: a reader sees the old one or the new one."""
    rows = {name: [_row(known, offset_s) for known in addresses] for name, addresses in sorted(names.items())}
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps({"version": 1, "names": rows}, indent=1) + "\n")
        os.replace(fresh, path)
    except OSError as error:
        log.warning("%s cannot be written: a restart has to ask for names first: %s", path, error)


def _row(known: KnownAddress, offset_s: float) -> dict[str, object]:
    def text(address: IpAddress | None) -> str | None:
        return None if address is None else str(address)

    return {"address": text(known.address), "until": round(known.until - offset_s, 3), "server": text(known.server)}
