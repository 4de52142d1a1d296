"""PPP's frames, packets and options against other implementations, at every length, for any bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.ppp import (
    HDLC,
    PPP,
    PPP_CHAP,
    PPP_IPCP,
    PPP_LCP,
    PPP_CHAP_ChallengeResponse,
    PPP_IPCP_Option_DNS1,
    PPP_IPCP_Option_IPAddress,
    PPP_LCP_ACCM_Option,
    PPP_LCP_Auth_Protocol_Option,
    PPP_LCP_Code_Reject,
    PPP_LCP_Configure,
    PPP_LCP_Echo,
    PPP_LCP_Magic_Number_Option,
    PPP_LCP_MRU_Option,
    PPP_LCP_Option,
    PPP_LCP_Protocol_Reject,
    PPP_LCP_Terminate,
    PPP_PAP_Request,
    PPP_PAP_Response,
)

from vipd.errors import WireError
from vipd.wire import ppp_options as options
from vipd.wire.ppp import (
    Code,
    Echo,
    Frame,
    Option,
    Packet,
    Protocol,
    ProtocolReject,
    code_name,
    decode_options,
    encode_options,
    protocol_name,
)
from vipd.wire.ppp_auth import (
    ChapCode,
    Credentials,
    PapCode,
    Proof,
    chap_md5,
    decode_message,
    encode_message,
)
from vipd.wire.ppp_options import Ipcp, Lcp

octets = st.integers(0, 255)
short = st.binary(max_size=255)
# A protocol's last octet is odd, its first is even (RFC 1661 section 2).
protocols = st.tuples(octets.map(lambda n: n & 0xFE), octets.map(lambda n: n | 1)).map(lambda p: p[0] << 8 | p[1])
frames = st.builds(Frame, protocols.filter(lambda p: p >= 0x100), st.binary(max_size=40), st.booleans())
packets = st.builds(Packet, octets, octets, st.binary(max_size=100))
some_options = st.lists(st.builds(Option, octets, st.binary(max_size=20))).map(tuple)

# Frames that other implementations sent, as captures and tests of theirs show them; without FCS.
CAPTURED = {
    "a 3GPP2 A10 bearer": (
        "ff03c021010100190206000000000305c223050506b901af0807020802",
        Packet(Code.CONFIGURE_REQUEST, 1),
        (
            options.accm(0),
            Option(Lcp.AUTHENTICATION, options.CHAP_WITH_MD5),
            options.magic(0xB901AF08),
            Option(Lcp.PROTOCOL_COMPRESSION),
            Option(Lcp.ADDRESS_COMPRESSION),
        ),
    ),
    "a Windows test program": (
        "ff03c0210100000a050600000000",
        Packet(Code.CONFIGURE_REQUEST, 0),
        (options.magic(0),),
    ),
    "an HP Jornada 680e": (
        "ff03c0210101000e02060000000007020802",
        Packet(Code.CONFIGURE_REQUEST, 1),
        (options.accm(0), Option(Lcp.PROTOCOL_COMPRESSION), Option(Lcp.ADDRESS_COMPRESSION)),
    ),
    "a phone's MMS stack": (
        "ff03c02101010016010405dc020600000000070208020304c023",
        Packet(Code.CONFIGURE_REQUEST, 1),
        (
            options.mru(1500),
            options.accm(0),
            Option(Lcp.PROTOCOL_COMPRESSION),
            Option(Lcp.ADDRESS_COMPRESSION),
            Option(Lcp.AUTHENTICATION, options.PAP),
        ),
    ),
    "a cellular modem": (
        "ff03c0210101001402060000000005060e791a5907020802",
        Packet(Code.CONFIGURE_REQUEST, 1),
        (
            options.accm(0),
            options.magic(0x0E791A59),
            Option(Lcp.PROTOCOL_COMPRESSION),
            Option(Lcp.ADDRESS_COMPRESSION),
        ),
    ),
    "a cellular modem, which rejects PAP": (
        "ff03c021040000080304c023",
        Packet(Code.CONFIGURE_REJECT, 0),
        (Option(Lcp.AUTHENTICATION, options.PAP),),
    ),
    "a cellular modem's IPCP, compressed": ("802101140004", Packet(Code.CONFIGURE_REQUEST, 0x14), ()),
    "a cellular modem's IPCP, with an address": (
        "80210102000a030600000000",
        Packet(Code.CONFIGURE_REQUEST, 2),
        (options.ipv4_address(Ipcp.ADDRESS, IPv4Address(0)),),
    ),
    "a vendor's stack asks for nothing": ("ff03c021016d0004", Packet(Code.CONFIGURE_REQUEST, 0x6D), ()),
    "a vendor's stack agrees": ("ff03c021026d0004", Packet(Code.CONFIGURE_ACK, 0x6D), ()),
}


@pytest.mark.parametrize(("wire", "packet", "carried"), CAPTURED.values(), ids=CAPTURED)
def test_captured_frames_are_read_and_written_alike(wire: str, packet: Packet, carried: tuple[Option, ...]) -> None:
    data = bytes.fromhex(wire)
    frame = Frame.decode(data)
    decoded = Packet.decode(frame.payload)
    assert frame.protocol == (Protocol.LCP if data.startswith(b"\xff") else Protocol.IPCP)
    assert (decoded.code, decoded.identifier) == (packet.code, packet.identifier)
    assert decode_options(decoded.data) == carried
    rebuilt = Packet(packet.code, packet.identifier, encode_options(carried)).encode()
    assert Frame(frame.protocol, rebuilt, frame.address_compressed, frame.protocol_compressed).encode() == data


def lcp(packet: Packet) -> bytes:
    return Frame(Protocol.LCP, packet.encode()).encode()


def test_scapy_builds_the_same_configure_request() -> None:
    wanted = (
        options.mru(1400),
        options.accm(0x000A0000),
        Option(Lcp.AUTHENTICATION, options.CHAP_WITH_MD5),
        options.magic(0x12345678),
        Option(Lcp.PROTOCOL_COMPRESSION),
        Option(Lcp.ADDRESS_COMPRESSION),
    )
    theirs = (
        HDLC()
        / PPP()
        / PPP_LCP_Configure(
            id=7,
            options=[
                PPP_LCP_MRU_Option(max_recv_unit=1400),
                PPP_LCP_ACCM_Option(accm=0x000A0000),
                PPP_LCP_Auth_Protocol_Option(auth_protocol=0xC223, algorithm=5),
                PPP_LCP_Magic_Number_Option(magic_number=0x12345678),
                PPP_LCP_Option(type=7),
                PPP_LCP_Option(type=8),
            ],
        )
    )
    assert lcp(Packet(Code.CONFIGURE_REQUEST, 7, encode_options(wanted))) == bytes(theirs)


@pytest.mark.parametrize(
    ("packet", "theirs"),
    [
        (Packet(Code.TERMINATE_REQUEST, 3, b"bye"), PPP_LCP_Terminate(code=5, id=3, data=b"bye")),
        (Packet(Code.TERMINATE_ACK, 3), PPP_LCP_Terminate(code=6, id=3)),
        (
            Packet(Code.ECHO_REQUEST, 4, Echo(0xCAFEF00D, b"abc").encode()),
            PPP_LCP_Echo(code=9, id=4, magic_number=0xCAFEF00D, data=b"abc"),
        ),
        (
            Packet(Code.ECHO_REPLY, 4, Echo(1).encode()),
            PPP_LCP_Echo(code=10, id=4, magic_number=1),
        ),
        (
            Packet(Code.PROTOCOL_REJECT, 5, ProtocolReject(0x8057, b"\x01\x02\x00\x04").encode()),
            PPP_LCP_Protocol_Reject(id=5, rejected_protocol=0x8057, rejected_information=b"\x01\x02\x00\x04"),
        ),
        (
            Packet(Code.CODE_REJECT, 6, Packet(99, 8, b"??").encode()),
            PPP_LCP_Code_Reject(id=6, rejected_packet=PPP_LCP(code=99, id=8, data=b"??")),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Packet) else "",
)
def test_scapy_builds_the_same_lcp_packets(packet: Packet, theirs: object) -> None:
    assert lcp(packet) == bytes(HDLC() / PPP() / theirs)


def test_scapy_builds_the_same_addresses() -> None:
    ours = (
        options.ipv4_address(Ipcp.ADDRESS, IPv4Address("10.0.0.2")),
        options.ipv4_address(Ipcp.PRIMARY_DNS, IPv4Address("192.0.2.53")),
    )
    theirs = (
        HDLC()
        / PPP()
        / PPP_IPCP(
            code=1,
            id=9,
            options=[PPP_IPCP_Option_IPAddress(data="10.0.0.2"), PPP_IPCP_Option_DNS1(data="192.0.2.53")],
        )
    )
    packet = Packet(Code.CONFIGURE_REQUEST, 9, encode_options(ours))
    assert Frame(Protocol.IPCP, packet.encode()).encode() == bytes(theirs)


def test_scapy_builds_the_same_authentication() -> None:
    pap = Packet(PapCode.AUTHENTICATE_REQUEST, 1, Credentials(b"me", b"secret").encode())
    assert Frame(Protocol.PAP, pap.encode()).encode() == bytes(
        HDLC() / PPP() / PPP_PAP_Request(id=1, username="me", password="secret")
    )
    answer = Packet(PapCode.AUTHENTICATE_NAK, 1, encode_message(b"no"))
    assert Frame(Protocol.PAP, answer.encode()).encode() == bytes(
        HDLC() / PPP() / PPP_PAP_Response(code=3, id=1, message=b"no")
    )
    challenge = Packet(ChapCode.CHALLENGE, 2, Proof(bytes(range(16)), b"them").encode())
    assert Frame(Protocol.CHAP, challenge.encode()).encode() == bytes(
        HDLC() / PPP() / PPP_CHAP_ChallengeResponse(code=1, id=2, value=bytes(range(16)), optional_name=b"them")
    )
    success = Packet(ChapCode.SUCCESS, 2, b"welcome")
    assert Frame(Protocol.CHAP, success.encode()).encode() == bytes(
        HDLC() / PPP() / PPP_CHAP(code=3, id=2, data=b"welcome")
    )


@given(st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))
def test_scapy_reads_what_we_write(name: bytes, password: bytes) -> None:
    packet = Packet(PapCode.AUTHENTICATE_REQUEST, 1, Credentials(name, password).encode())
    read = PPP(Frame(Protocol.PAP, packet.encode()).encode())
    assert bytes(read[PPP_PAP_Request].username) == name
    assert bytes(read[PPP_PAP_Request].password) == password


@given(octets, st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64))
def test_the_answer_to_a_challenge_is_rfc_1994s(identifier: int, secret: bytes, challenge: bytes) -> None:
    """Section 4.1: the one-way hash over identifier, secret and challenge."""
    digest = hashlib.new("md5", usedforsecurity=False)
    for part in (bytes([identifier]), secret, challenge):
        digest.update(part)
    assert chap_md5(identifier, secret, challenge) == digest.digest()


@given(frames)
def test_a_frame_is_decoded_as_it_was_encoded(frame: Frame) -> None:
    assert Frame.decode(frame.encode()) == frame


@given(octets.map(lambda n: n | 1).filter(lambda n: n != 0xFF), st.binary(max_size=20), st.booleans())
def test_a_small_protocol_fits_one_octet(protocol: int, payload: bytes, short_address: bool) -> None:
    frame = Frame(protocol, payload, short_address, True)
    assert len(frame.encode()) == len(payload) + (1 if short_address else 3)
    assert Frame.decode(frame.encode()) == frame


def test_a_large_protocol_is_never_shortened() -> None:
    assert Frame(Protocol.LCP, b"", False, True).encode() == b"\xff\x03\xc0\x21"


@given(packets, st.binary(max_size=10))
def test_a_packet_is_decoded_as_it_was_encoded_whatever_pads_it(packet: Packet, padding: bytes) -> None:
    assert Packet.decode(packet.encode() + padding) == packet


@given(some_options)
def test_options_are_decoded_as_they_were_encoded(wanted: tuple[Option, ...]) -> None:
    assert decode_options(encode_options(wanted)) == wanted


@given(short, short)
def test_credentials_are_decoded_as_they_were_encoded(name: bytes, password: bytes) -> None:
    assert Credentials.decode(Credentials(name, password).encode()) == Credentials(name, password)


@given(short, st.binary(max_size=40))
def test_challenges_are_decoded_as_they_were_encoded(value: bytes, name: bytes) -> None:
    assert Proof.decode(Proof(value, name).encode()) == Proof(value, name)


@given(short)
def test_messages_are_decoded_as_they_were_encoded(text: bytes) -> None:
    assert decode_message(encode_message(text)) == text
    assert decode_message(b"") == b""


@given(st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_echoes_and_rejects_are_decoded_as_they_were_encoded(magic: int, rest: bytes) -> None:
    assert Echo.decode(Echo(magic, rest).encode()) == Echo(magic, rest)
    reject = ProtocolReject(magic & 0xFFFF, rest)
    assert ProtocolReject.decode(reject.encode()) == reject


@pytest.mark.parametrize(
    ("decode", "wire", "message"),
    [
        (Frame.decode, "", "1 bytes expected at offset 0, 0 left"),
        (Frame.decode, "ff", "1 bytes expected at offset 1, 0 left"),
        (Frame.decode, "ff04c021", "control field 0x04 at offset 1, 0x03 expected"),
        (Frame.decode, "ff03c0", "1 bytes expected at offset 3, 0 left"),
        (Frame.decode, "ff03c020", "protocol 0xc020 is even"),
        (Packet.decode, "01020003", "length 3 at offset 2, 4 is the least"),
        (Packet.decode, "01020000", "length 0 at offset 2, 4 is the least"),
        (Packet.decode, "0102000501"[:8], "1 bytes expected at offset 4, 0 left"),
        (Packet.decode, "0102ffff01", "65531 bytes expected at offset 4, 1 left"),
        (decode_options, "010405dc0500", "option 5 of length 0 at offset 4"),
        (decode_options, "0501", "option 5 of length 1 at offset 0"),
        (decode_options, "0506123456", "4 bytes expected at offset 2, 3 left"),
        (Credentials.decode, "ff6d65", "255 bytes expected at offset 1, 2 left"),
        (Proof.decode, "1000", "16 bytes expected at offset 1, 1 left"),
        (decode_message, "0568", "5 bytes expected at offset 1, 1 left"),
        (Echo.decode, "000000", "4 bytes expected at offset 0, 3 left"),
        (ProtocolReject.decode, "80", "2 bytes expected at offset 0, 1 left"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(decode: Callable[[bytes], object], wire: str, message: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(bytes.fromhex(wire))
    assert str(refused.value) == message


WHOLE: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "packet": (Packet.decode, Packet(1, 2, b"data").encode()),
    "options": (decode_options, encode_options((options.mru(1500),))),
    "credentials": (Credentials.decode, Credentials(b"me", b"secret").encode()),
    "message": (decode_message, encode_message(b"hello")),
    "challenge": (Proof.decode, Proof(bytes(16), b"").encode()),
    "echo": (Echo.decode, Echo(1).encode()),
    "reject": (ProtocolReject.decode, ProtocolReject(0x8021, b"").encode()),
    "header": (Frame.decode, Frame(Protocol.LCP, b"").encode()),
}


@pytest.mark.parametrize(
    ("decode", "wire"),
    [
        pytest.param(decode, wire[:size], id=f"{name}-{size}")
        for name, (decode, wire) in WHOLE.items()
        for size in range(len(wire))
        # No options and no message at all are allowed.
        if size or name not in ("options", "message")
    ],
)
def test_every_truncation_is_refused(decode: Callable[[bytes], object], wire: bytes) -> None:
    with pytest.raises(WireError):
        decode(wire)


@pytest.mark.parametrize("decode", [decode for decode, _ in WHOLE.values()], ids=WHOLE)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_wire_error(decode: Callable[[bytes], object], data: bytes) -> None:
    with suppress(WireError):
        decode(data)


def test_an_option_too_long_for_its_length_is_not_written() -> None:
    assert decode_options(Option(1, bytes(253)).encode()) == (Option(1, bytes(253)),)
    with pytest.raises(WireError):
        Option(1, bytes(254)).encode()


def test_numbers_have_the_names_that_the_rfcs_give_them() -> None:
    assert (protocol_name(0xC021), protocol_name(0x4321)) == ("LCP", "protocol 0x4321")
    assert (code_name(1), code_name(99), str(Packet(9, 3))) == ("Configure-Request", "code 99", "Echo-Request 3")
    assert options.option_name(Protocol.LCP, 5) == "magic"
    assert options.option_name(Protocol.IPCP, 129) == "primary dns"
    assert options.option_name(Protocol.IPV6CP, 77) == options.option_name(Protocol.CHAP, 77) == "option 77"


def test_a_password_is_in_no_representation() -> None:
    assert "secret" not in repr(Credentials(b"me", b"secret"))
