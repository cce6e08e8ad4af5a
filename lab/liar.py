"""A DNS server that lies: `python -m lab.liar ADDRESS HOW`, on UDP and TCP port 53.

    wrong-id, wrong-name, wrong-case   answers to another question than the one asked
    rubbish                            bytes that are no message
    address=10.0.0.66                  the right form, the wrong address
    truncate                           "too long for UDP" to each question by UDP, silence by TCP
    silent                             nothing at all

Each question is printed, so that a test can see who was asked.
"""

from __future__ import annotations

import socket
import sys

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

A = dns.rdatatype.A


def answer(data: bytes, how: str) -> bytes | None:
    """The lie for a question."""
    query = dns.message.from_wire(data)
    question = query.question[0]
    print(question.name, dns.rdatatype.to_text(question.rdtype), flush=True)
    response = dns.message.make_response(query)
    address = how.removeprefix("address=") if how.startswith("address=") else "10.0.0.66"
    if question.rdtype == A:
        response.answer.append(dns.rrset.from_text(question.name, 3600, "IN", "A", address))
    match how:
        case "silent":
            return None
        case "truncate":
            response.answer.clear()
            response.flags |= dns.flags.TC
        case "wrong-id":
            response.id ^= 1
        case "wrong-name":
            response.question[0] = dns.rrset.RRset(dns.name.from_text("www.example.org."), question.rdclass, A)
        case "wrong-case":
            wire = response.to_wire()
            return wire[:12] + wire[12:40].swapcase() + wire[40:]
        case "rubbish":
            return b"\xff" * 50
    return response.to_wire()


def main(address: str, how: str) -> None:
    """Serve until killed."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    print("ready", flush=True)
    while True:
        data, peer = server.recvfrom(4096)
        lie = answer(data, how)
        if lie is not None:
            server.sendto(lie, peer)


if __name__ == "__main__":
    main(*sys.argv[1:])
