"""Whose certificate a TLS peer has: the ``peer-name=`` of a target against the certificate.

That a certificate is of our authority is OpenSSL's to check. This is about which of the authority's: without it another
switch of the same authority could be the controller.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

FINGERPRINT = "sha256:"


def complaint(wanted: str, tls: ssl.SSLObject | ssl.SSLSocket) -> str | None:
    """What is wrong with a peer's certificate; None: it is the one that is wanted.

    ``wanted`` is a name, or "sha256:" and 64 hexadecimal digits of the whole certificate.
    """
    certificate = tls.getpeercert(binary_form=True)
    if certificate is None:
        return "TLS: the peer has no certificate"
    if wanted.startswith(FINGERPRINT):
        found = FINGERPRINT + hashlib.sha256(certificate).hexdigest()
        return None if found == wanted else f"TLS: the peer's certificate is {found}, not the peer-name {wanted}"
    names = list(names_in(tls.getpeercert() or {}))
    if any(matches(name, wanted) for name in names):
        return None
    return f"TLS: the peer's certificate is for {', '.join(names) or 'no name'}, not for the peer-name {wanted}"


def names_in(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The host names and addresses of a certificate, or its common name when it has none.

    As RFC 6125, 6.4.4 has it: the common name counts only where no alternative name does. ovs-pki makes such
    certificates.
    """
    alternatives = [
        str(value) for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")
    ]
    if alternatives:
        yield from alternatives
        return
    for row in certificate.get("subject", ()):
        yield from (str(value) for key, value in row if key == "commonName")


def matches(name: str, wanted: str) -> bool:
    """Whether a certificate's name is the wanted one; ``*`` is one whole label at its left end (RFC 6125, 6.4.3)."""
    name, wanted = name.lower().rstrip("."), wanted.rstrip(".")
    if name == wanted:
        return True
    star, _, domain = name.partition(".")
    return star == "*" and bool(domain) and wanted.partition(".")[2] == domain
