"""Certificates on a machine that does not know the time: many small ones start in 1970, and NTP comes by the network.

The newest time that is known for certain (the latest file of the state directory, the start of the own certificate) is
a floor: a clock behind it is certainly wrong. Then a certificate's start is not enforced, and the end of each in the
chain is judged by the floor. With a clock that can be right nothing is relaxed, and OpenSSL judges.

A file of the state directory that is later than the end of the own certificate proves nothing: it was written while the
clock was far ahead, or the certificate is over and no peer takes it. Else a clock that was once in the year 2099 would
have every certificate refused for good.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL (X509_VERIFY_PARAM_set_flags(3)), which the ssl module does not name.
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)


class TlsClock:
    """The time by which certificates are judged."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970, or what the machine takes for them."""
        self._clock = clock
        self._written_s = self._start_s = 0.0
        self._end_s: float | None = None
        self._is_said = False

    def learn(self, written_s: float | None) -> None:
        """A file was written at this time, in seconds since 1970; None: there is none."""
        self._written_s = max(self._written_s, written_s or 0.0)

    def learn_own(self, valid_s: tuple[float, float] | None) -> None:
        """The own certificate holds from then until then, in seconds since 1970; None: it cannot be read."""
        if valid_s is not None:
            self._start_s = max(self._start_s, valid_s[0])
            self._end_s = max(self._end_s or 0.0, valid_s[1])

    @property
    def _floor_s(self) -> float:
        """It is certainly not earlier than this."""
        is_believed = self._end_s is None or self._written_s <= self._end_s
        return max(self._start_s, self._written_s if is_believed else 0.0)

    @property
    def is_wrong(self) -> bool:
        """Whether the clock is behind what is known."""
        return self._clock() < self._floor_s

    @property
    def note(self) -> str | None:
        """What people should know, None while the clock can be right."""
        if not self.is_wrong:
            return None
        return (
            f"the clock says {_date(self._clock())}, but it is {_date(self._floor_s)} or later: certificates' starts "
            "are not checked, and their ends against that"
        )

    def prepare(self, context: ssl.SSLContext) -> None:
        """Set up a context for the connection that is made next."""
        flags = context.verify_flags
        context.verify_flags = flags | _NO_CHECK_TIME if self.is_wrong else flags & ~_NO_CHECK_TIME
        if self.is_wrong and not self._is_said:
            log.warning("%s", self.note)
        self._is_said = self.is_wrong

    def complaint(self, tls: ssl.SSLObject | ssl.SSLSocket) -> str | None:
        """What is wrong with the time of a peer's certificates, which OpenSSL did not look at; None: nothing."""
        if not self.is_wrong:
            return None
        for certificate in _chain(tls):
            end = certificate.get("notAfter")
            if end is None or ssl.cert_time_to_seconds(str(end)) < self._floor_s:
                return f"TLS: the certificate expired {end}, and it is {_date(self._floor_s)} or later"
        return None


def _chain(tls: ssl.SSLObject | ssl.SSLSocket) -> Iterator[Mapping[str, Any]]:
    """The peer's certificate and those that it was verified by, decoded."""
    yield tls.getpeercert() or {}
    inner: Any = getattr(tls, "_sslobj", None)  # public as SSLObject.get_verified_chain from Python 3.13 on
    for certificate in inner.get_verified_chain() or ():
        yield certificate.get_info()


def validity(certificate: Path | None) -> tuple[float, float] | None:
    """Start and end of a certificate in a file, in seconds since 1970; None when it cannot be read."""
    if certificate is None:
        return None
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined] # how CPython's own tests read a PEM file
    try:
        found = decode(str(certificate))
        start, end = (ssl.cert_time_to_seconds(str(found[name])) for name in ("notBefore", "notAfter"))
        return start, end
    except (OSError, ValueError, KeyError):
        return None


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
