"""Certificates for TLS tests: an authority, and what it signs, as PEM files."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and a certificate, each a file."""

    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What one side of TLS needs: who it is, and the authority whose certificates it takes."""

    own: Identity
    ca: Path


class Authority:
    """A certificate authority whose files are in a folder; ``ca`` is its own certificate."""

    def __init__(self, folder: Path, name: str, *, days: int = 1) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = folder / f"{name}-ca.pem"
        builder = _builder(self._name, self._name, self._key, days=days)
        made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, days: int = 1, start: int | None = None, password: bytes = b"") -> Identity:
        """Sign a new identity that is valid for so many days; a negative number: it expired so many days ago.

        ``start``: from so many days from now on.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _builder(subject, self._name, key, days=days, begin=start).sign(self._key, hashes.SHA256())
        made = Identity(self._folder / f"{name}-key.pem", self._folder / f"{name}-cert.pem")
        how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        made.key.write_bytes(key.private_bytes(pem, pkcs8, how))
        made.certificate.write_bytes(certificate.public_bytes(pem))
        return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int, begin: int | None = None
) -> x509.CertificateBuilder:
    first = begin if begin is not None else -1 if days > 0 else days - 1
    start, end = NOW + first * DAY, NOW + days * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
