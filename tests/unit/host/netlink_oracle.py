"""pyroute2, which knows netlink's formats independently of us: messages as it writes and reads them."""

from __future__ import annotations

from typing import Any


def written(message_class: Any, kind: int, fields: dict[str, Any], attributes: list[tuple[str, Any]]) -> bytes:
    """A message of one of its classes as pyroute2 writes it."""
    message = message_class()
    message["header"]["type"] = kind
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)


def read(message_class: Any, data: bytes) -> Any:
    """What pyroute2 reads in a message."""
    message = message_class(data)
    message.decode()
    return message
