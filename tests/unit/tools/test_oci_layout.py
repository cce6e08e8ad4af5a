"""An image layout in which everything is found by its digest, as the OCI Image Format Specification has it."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tools.oci_layout import write_layout

WHEN = 1_795_000_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        entry = tarfile.TarInfo("etc/inband.toml")
        entry.size = 3
        made.addfile(entry, io.BytesIO(b"a=1"))
    return path


def blob(layout: Path, reference: dict[str, Any]) -> bytes:
    """What a reference refers to, which has the digest and size that it says."""
    algorithm, digest = reference["digest"].split(":")
    data: bytes = (layout / "blobs" / algorithm / digest).read_bytes()
    assert hashlib.new(algorithm, data).hexdigest() == digest
    assert len(data) == reference["size"]
    return data


def test_manifest_configuration_and_layer_are_found_from_the_index(archive: Path, tmp_path: Path) -> None:
    layout = tmp_path / "image"

    write_layout(archive, layout, WHEN)

    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (found,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(layout, found))
    config = json.loads(blob(layout, manifest["config"]))
    (layer,) = manifest["layers"]
    assert manifest["mediaType"] == found["mediaType"]
    assert blob(layout, layer) == archive.read_bytes()
    unpacked = subprocess.run(["gunzip", "-c", archive], capture_output=True, check=True).stdout
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(unpacked).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/usr/bin/inband"]
    assert config["created"] == "2026-11-18T11:06:40Z"


def test_the_same_archive_makes_the_same_image(archive: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_layout(archive, tmp_path / name, WHEN)

    assert (tmp_path / "one" / "index.json").read_bytes() == (tmp_path / "two" / "index.json").read_bytes()


def test_what_cannot_be_finished_is_not_left(tmp_path: Path) -> None:
    archive, layout = tmp_path / "missing.tar.gz", tmp_path / "image"

    done = subprocess.run(
        [sys.executable, "-m", "tools.oci_layout", archive, layout, str(WHEN)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "missing.tar.gz" in done.stderr
    assert done.returncode == 1
    assert not layout.exists()
