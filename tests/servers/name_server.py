"""A real name server on a loopback port whose answers change from one question to the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer(asyncio.DatagramProtocol):
    """`zone`: the addresses that a name has, one answer after another; the last for ever. Counts the questions for A."""

    def __init__(self, zone: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.zone, self.asked = zone, Counter[str]()
        self.address = ""
        self._wire: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        name, kind = question.question[0].name, question.question[0].rdtype.name
        host = name.to_text(omit_final_dot=True)
        answers = self.zone.get(host)
        if answers is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            turn = min(self.asked[host] - (kind != "A"), len(answers) - 1)
            found = [each for each in answers[max(turn, 0)] if (":" in each) == (kind == "AAAA")]
            if found:
                answer.answer.append(dns.rrset.from_text(name, 0, "IN", kind, *found))
            self.asked[host] += kind == "A"
        self._wire.sendto(answer.to_wire(), addr)


@contextlib.asynccontextmanager
async def name_server(zone: Mapping[str, Sequence[Sequence[str]]]) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    wire, server = await loop.create_datagram_endpoint(lambda: NameServer(zone), local_addr=("127.0.0.1", 0))
    server.address = f"127.0.0.1:{wire.get_extra_info('sockname')[1]}"
    try:
        yield server
    finally:
        wire.close()
