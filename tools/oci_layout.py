"""An OCI image of one layer, as a folder that every container tool reads (OCI Image Format Specification 1.0).

    python tools/oci_layout.py ROOT.tar.gz FOLDER SECONDS

SECONDS since 1970 is what the image says of its age, so that the same archive makes the same image.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inband import __version__

MEDIA = "application/vnd.oci.image"
# By what uname says, the names of the specification (those of Go).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
RUN = {
    "Entrypoint": ["/usr/bin/inband"],
    "Cmd": ["run", "--config", "/etc/inband.toml"],
    "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    "StopSignal": "SIGTERM",
    "Labels": {"org.opencontainers.image.title": "inband", "org.opencontainers.image.version": __version__},
}


def write_layout(archive: Path, folder: Path, seconds: int) -> None:
    """Make ``folder``, which must not exist, an image of the files in ``archive`` (tar.gz)."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer = _blob(blobs, f"{MEDIA}.layer.v1.tar+gzip", archive.read_bytes())
    config = _json_blob(blobs, f"{MEDIA}.config.v1+json", _config(archive, seconds))
    manifest = {"schemaVersion": 2, "mediaType": f"{MEDIA}.manifest.v1+json", "config": config, "layers": [layer]}
    described = _json_blob(blobs, f"{MEDIA}.manifest.v1+json", manifest)
    described["annotations"] = {"org.opencontainers.image.ref.name": __version__}
    _write(folder / "index.json", {"schemaVersion": 2, "manifests": [described]})
    _write(folder / "oci-layout", {"imageLayoutVersion": "1.0.0"})


def _config(archive: Path, seconds: int) -> dict[str, Any]:
    with gzip.open(archive) as unpacked:
        layer = hashlib.file_digest(unpacked, "sha256").hexdigest()
    machine = platform.machine()
    return {
        "created": datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z"),
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": RUN,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }


def _json_blob(blobs: Path, media: str, value: object) -> dict[str, Any]:
    return _blob(blobs, media, json.dumps(value, sort_keys=True).encode())


def _blob(blobs: Path, media: str, data: bytes) -> dict[str, Any]:
    """Keep bytes under their digest; returns how others refer to them."""
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, sort_keys=True))


if __name__ == "__main__":
    try:
        write_layout(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    except OSError:
        shutil.rmtree(sys.argv[2], ignore_errors=True)  # half an image looks like one
        raise
