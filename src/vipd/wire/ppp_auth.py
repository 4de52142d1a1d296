"""The data of PAP's packets (RFC 1334 section 2) and of CHAP's (RFC 1994 section 4). Compares no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import md5

from vipd.wire.reader import Reader


class PapCode(IntEnum):
    AUTHENTICATE_REQUEST = 1
    AUTHENTICATE_ACK = 2
    AUTHENTICATE_NAK = 3


class ChapCode(IntEnum):
    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an Authenticate-Request."""

    name: bytes
    password: bytes = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> Credentials:
        reader = Reader(data)
        return cls(reader.take(reader.u8()), reader.take(reader.u8()))

    def encode(self) -> bytes:
        return bytes((len(self.name),)) + self.name + bytes((len(self.password),)) + self.password


def decode_message(data: bytes) -> bytes:
    """Of Authenticate-Ack and -Nak; some peers leave out even its length, which says nothing worth a refusal."""
    reader = Reader(data)
    return reader.take(reader.u8()) if reader.left else b""


def encode_message(text: bytes) -> bytes:
    return bytes((len(text),)) + text


@dataclass(frozen=True, slots=True)
class Proof:
    """Of a Challenge or a Response: a value, and the sender's name."""

    value: bytes
    name: bytes

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        reader = Reader(data)
        return cls(reader.take(reader.u8()), reader.rest())

    def encode(self) -> bytes:
        return bytes((len(self.value),)) + self.value + self.name


def chap_md5(identifier: int, secret: bytes, challenge: bytes) -> bytes:
    """RFC 1994 4.1: the hash over the identifier, the secret and the challenge's value."""
    return md5(bytes((identifier,)) + secret + challenge, usedforsecurity=False).digest()
