"""Checksum arithmetic: the Internet checksum (RFC 1071), its update (RFC 1624), SCTP's CRC32c (RFC 9260, appendix A).

A ones-complement sum of 16-bit words is the number those words spell, modulo 65535. Python divides a number of 64 kB
by a small one in one pass in C, which is a hundred times faster than a loop over words. The one thing the modulus
loses is which of the two zeros it was: a sum of words that are not all 0 is 0xffff, never 0 (``fold``).
"""

from __future__ import annotations

_CRC32C = 0x82F63B78  # the polynomial, bits reversed


def fold(total: int) -> int:
    """A sum, in its 16-bit form. ``total`` must be the sum of something that is not all zeros; then 0 cannot occur."""
    return total % 0xFFFF or 0xFFFF


def word_sum(data: bytes | bytearray | memoryview) -> int:
    """The sum of the 16-bit words of ``data``, modulo 65535; an odd byte at the end counts as a word's high byte."""
    number = int.from_bytes(data, "big")
    return (number << 8 if len(data) & 1 else number) % 0xFFFF


def checksum(data: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """The Internet checksum of ``data``, whose checksum field is 0, on top of a sum (of a pseudo-header, say)."""
    return 0xFFFF - fold(word_sum(data) + initial)


def update(old_checksum: int, change: int) -> int:
    """A checksum after the words it covers changed by ``change`` in sum (RFC 1624, equation 3).

    Equal to computing it anew, if it was right before; if it was wrong it stays wrong.
    """
    return 0xFFFF - fold(0xFFFF - old_checksum + change)


def _crc_table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (_CRC32C if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def _crc_register(data: bytes | bytearray | memoryview, register: int) -> int:
    table = _TABLE
    for byte in data:
        register = register >> 8 ^ table[(register ^ byte) & 0xFF]
    return register


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """CRC32c as SCTP has it in its header: the four bytes as a number in network order."""
    return int.from_bytes((_crc_register(data, 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "little"), "big")


def crc32c_change(delta: bytes, following: int) -> int:
    """What to XOR to a CRC32c (in network order) when bytes changed by ``delta`` (old XOR new).

    ``following`` is how many bytes are between the changed ones and the end. Work grows with its logarithm, and,
    like ``update``, this keeps a wrong CRC wrong.
    """
    register = _multiply(_crc_register(delta, 0), _power_of_x(8 * following))
    return int.from_bytes(register.to_bytes(4, "little"), "big")


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials modulo CRC32c's; bit 31 is the coefficient of 1, as everywhere here."""
    product = 0
    for bit in range(31, -1, -1):
        if b >> bit & 1:
            product ^= a
        a = a >> 1 ^ (_CRC32C if a & 1 else 0)
    return product


def _power_of_x(exponent: int) -> int:
    result, base = 1 << 31, 1 << 30
    while exponent:
        if exponent & 1:
            result = _multiply(result, base)
        base = _multiply(base, base)
        exponent >>= 1
    return result
