"""TLS contexts from a bridge's three files. Certificates are checked on both sides, as OpenFlow deployments expect."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

from inband.errors import UsageError
from inband.switch.config import BridgeConfig
from inband.switch.targets import Target


def tls_contexts(config: BridgeConfig) -> dict[Target, ssl.SSLContext]:
    """The context of each controller that uses TLS. Raises UsageError naming the file that does not do."""
    return {
        target: server_context(config) if target.listens else client_context(config)
        for target in config.controllers
        if target.uses_tls
    }


def without_tls_if_unreadable(config: BridgeConfig) -> tuple[BridgeConfig, str | None]:
    """The bridge as far as its files do: without its controllers that use TLS if they do not; and what is wrong."""
    try:
        tls_contexts(config)
    except UsageError as error:
        return replace(config, controllers=tuple(each for each in config.controllers if not each.uses_tls)), str(error)
    return config, None


def client_context(config: BridgeConfig) -> ssl.SSLContext:
    """For dialling. The controller must have a certificate of our CA; its name is not checked, for we dial addresses.

    Raises UsageError naming the file that does not do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _with_files(context, config)


def server_context(config: BridgeConfig) -> ssl.SSLContext:
    """For listening: who connects must have a certificate of our CA. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _with_files(context, config)


def _with_files(context: ssl.SSLContext, config: BridgeConfig) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    private_key, certificate, ca_cert = config.private_key, config.certificate, config.ca_cert
    if private_key is None or certificate is None or ca_cert is None:
        raise UsageError(f"bridge {config.name}: TLS needs private-key, certificate and ca-cert: set all three")
    try:
        # Without the empty password OpenSSL would ask the terminal for that of an encrypted key, and wait.
        context.load_cert_chain(certificate, private_key, password="")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"bridge {config.name}: {_files(certificate, private_key)}: {_reason(error)}") from None
    try:
        context.load_verify_locations(ca_cert)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"bridge {config.name}: ca-cert {ca_cert}: {_reason(error)}") from None
    return context


def _files(certificate: Path, private_key: Path) -> str:
    return f"certificate {certificate} with private-key {private_key}"


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{error.reason or error}: it must be PEM, and key and certificate must belong together"
    return error.strerror or str(error)


def tls_files(config: BridgeConfig) -> tuple[Path | None, ...]:
    """The three files: contexts made of other ones are other contexts."""
    return (config.private_key, config.certificate, config.ca_cert)
