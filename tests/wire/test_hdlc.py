"""Address and control fields: each bit where ISO 13239 and X.25 have it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import WireError
from vipd.wire.hdlc import (
    OCTETS,
    UNNUMBERED,
    Control,
    Frame,
    Information,
    Modulo,
    Supervision,
    Supervisory,
    Unnumbered,
    decode_address,
    decode_control,
    encode_control,
)
from vipd.wire.reader import Reader

MODULOS: list[Modulo] = [8, 128]


def controls(modulo: Modulo) -> st.SearchStrategy[Control]:
    number = st.integers(0, modulo - 1)
    unnumbered = st.integers(0, 255).map(lambda octet: octet & 0xEC | 3)
    return st.one_of(
        st.builds(Information, number, number, st.booleans()),
        st.builds(Supervisory, st.sampled_from(Supervision), number, st.booleans()),
        st.builds(Unnumbered, unnumbered, st.booleans()),
    )


@pytest.mark.parametrize(
    ("octets", "modulo", "control"),
    [
        # ITU-T X.25 tables 2-3 to 2-5, modulo 8; table 2-6 modulo 128.
        ("00", 8, Information(0, 0)),
        ("bc", 8, Information(6, 5, poll=True)),
        ("a1", 8, Supervisory(Supervision.RR, 5)),
        ("35", 8, Supervisory(Supervision.RNR, 1, poll=True)),
        ("49", 8, Supervisory(Supervision.REJ, 2)),
        ("fd", 8, Supervisory(Supervision.SREJ, 7, poll=True)),
        ("3f", 8, Unnumbered(0x2F, poll=True)),
        ("fe01", 128, Information(127, 0, poll=True)),
        ("02fe", 128, Information(1, 127)),
        ("01c9", 128, Supervisory(Supervision.RR, 100, poll=True)),
        ("0902", 128, Supervisory(Supervision.REJ, 1)),
        ("7f", 128, Unnumbered(0x6F, poll=True)),
    ],
)
def test_a_control_field_is_read_and_written(octets: str, modulo: Modulo, control: Control) -> None:
    assert decode_control(Reader(bytes.fromhex(octets)), modulo) == control
    assert encode_control(control, modulo).hex() == octets


@pytest.mark.parametrize("modulo", MODULOS)
@given(data=st.data())
def test_what_is_written_is_read_again(modulo: Modulo, data: st.DataObject) -> None:
    control = data.draw(controls(modulo))
    reader = Reader(encode_control(control, modulo))
    assert decode_control(reader, modulo) == control
    assert reader.left == 0


@given(st.binary(max_size=3), st.sampled_from(MODULOS))
def test_every_control_field_is_one_or_is_cut_short(octets: bytes, modulo: Modulo) -> None:
    reader = Reader(octets)
    try:
        control = decode_control(reader, modulo)
    except WireError:
        assert len(octets) < (2 if modulo == 128 else 1)
        return
    # Modulo 128 the upper half of an S frame's first octet is reserved and not kept.
    read = octets[: len(octets) - reader.left]
    kept = bytes((read[0] & 0x0F, *read[1:])) if modulo == 128 and isinstance(control, Supervisory) else read
    assert encode_control(control, modulo) == kept


@pytest.mark.parametrize("modulo", MODULOS)
@pytest.mark.parametrize("number", [-1, 8, 128])
def test_a_number_that_does_not_fit_is_refused(modulo: Modulo, number: int) -> None:
    if number == 8 and modulo == 128:
        return
    for control in (Information(number, 0), Information(0, number), Supervisory(Supervision.RR, number)):
        with pytest.raises(WireError, match=f"{number} does not fit .* modulo {modulo}"):
            encode_control(control, modulo)


@pytest.mark.parametrize("octet", [0x13, 0x02, 0x01, 0x103, -1])
def test_an_octet_of_another_kind_is_no_unnumbered_frame(octet: int) -> None:
    with pytest.raises(WireError, match="no unnumbered"):
        encode_control(Unnumbered(octet))


def test_unnumbered_frames_have_their_names() -> None:
    assert Unnumbered(0x2F).name == "SABM"
    assert Unnumbered(0x0F).name == "SARM/DM"
    assert Unnumbered(0x03).name == "UI"
    assert Unnumbered(0x63).name == "UA"
    assert Unnumbered(0x2B).name == "U 0x2b"
    assert OCTETS["DM"] == OCTETS["SARM"] == 0x0F
    assert all(octet & 0x13 == 3 for octet in UNNUMBERED)
    assert len(OCTETS) == 20


def test_an_extended_address_goes_on_until_a_low_bit_is_set() -> None:
    reader = Reader(bytes.fromhex("00022321ff"))
    assert decode_address(reader, extended=True).hex() == "000223"
    assert decode_address(reader).hex() == "21"
    assert decode_address(reader, extended=True).hex() == "ff"
    assert decode_address(Reader(bytes.fromhex("0003ff")), extended=True).hex() == "0003"
    with pytest.raises(WireError):
        decode_address(Reader(bytes.fromhex("0002")), extended=True)


@pytest.mark.parametrize(
    ("octets", "frame"),
    [
        ("ff03c021", Frame(b"\xff", Unnumbered(0x03), b"\xc0\x21")),
        ("033f", Frame(b"\x03", Unnumbered(0x2F, poll=True))),
        ("0300ffff", Frame(b"\x03", Information(0, 0), b"\xff\xff")),
    ],
)
def test_a_frame_is_address_control_and_information(octets: str, frame: Frame) -> None:
    assert Frame.decode(bytes.fromhex(octets)) == frame
    assert frame.encode().hex() == octets


@pytest.mark.parametrize("extended", [False, True])
@given(octets=st.binary(max_size=12), modulo=st.sampled_from(MODULOS))
def test_a_frame_is_never_read_beyond_its_end(extended: bool, octets: bytes, modulo: Modulo) -> None:
    try:
        frame = Frame.decode(octets, modulo, extended)
    except WireError:
        return
    assert len(frame.encode(modulo)) == len(octets)
