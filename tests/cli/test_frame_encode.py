"""`vipd frame encode`: frames from their fields, and what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.frame_cli import capture_file, frame, refused, shown, told
from tests.support.specimens import ETHERNET

BUILT = [
    (("hdlc", "--address", "03", "--control", "sabm", "--poll"), "033f"),
    (("hdlc", "--control", "I", "--ns", "2", "--nr", "5", "--text", "hi"), "ffa46869"),
    (("hdlc", "--control", "RNR", "--nr", "100", "--modulo", "128"), "ff05c8"),
    (("ppp", "--protocol", "lcp", "--code", "1", "--hex", "010405dc"), "ff03c02101010008010405dc"),
    (("ppp", "--protocol", "8021", "--hex", "0101"), "ff0380210101"),
    (("ppp", "--compress", "--hex", "4500"), "214500"),
    (("cisco-hdlc", "--keepalive", "5,4"), "0f008035000000020000000500000004ffff00000000"),
    (("cisco-hdlc", "--broadcast", "--type", "cdp", "--text", "x"), "8f00200078"),
    (("ethernet", "--type", "88b5", "--text", "hello"), "ffffffffffff02000000000188b568656c6c6f" + "00" * 41),
    (
        ("ethernet", "--to", "02:00:00:00:00:02", "--vlan", "2", "--vlan", "10", "--priority", "5", "--hex", "6000"),
        "02000000000202000000000188a8a0028100a00a86dd6000" + "00" * 36,
    ),
]


@pytest.mark.parametrize(("arguments", "octets"), BUILT)
def test_a_frame_is_built_from_its_fields(arguments: tuple[str, ...], octets: str) -> None:
    assert shown("encode", *arguments, "--framing", "none").replace(" ", "").strip() == octets


WAYS = [(), ("--framing", "bit", "--as", "hex"), ("--as", "capture"), ("--framing", "async")]


@pytest.mark.parametrize(
    ("arguments", "octets", "way"),
    [(*built, way) for built in BUILT for way in (WAYS[:3] if built[0][0] == "ethernet" else WAYS)],
)
def test_what_is_built_is_read_again(
    tmp_path: Path, arguments: tuple[str, ...], octets: str, way: tuple[str, ...]
) -> None:
    path = tmp_path / "built"
    shown("encode", *arguments, *way, "-o", str(path))
    framing = way[:2] if way[:1] == ("--framing",) else ()
    modulo = ("--modulo", "128") if "--modulo" in arguments else ()
    # What some of them carry is no whole packet, and that is told.
    code = int("--hex" in arguments and "lcp" not in arguments)
    [found] = told("decode", arguments[0], str(path), *framing, *modulo, code=code)["frames"]
    assert found["octets"].startswith(octets)
    assert (found["fcs"] == "none") == ("capture" in way)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hdlc", "--address", "0x"), "--address: "),
        (("hdlc", "--address", ""), "--address: there is not one octet in it"),
        (("hdlc", "--control", "WHAT"), "--control: 'WHAT' is none of I, RR"),
        (("hdlc", "--control", "RR", "--nr", "8"), "--control: the number 8 does not fit"),
        (("hdlc", "--text", "a", "--hex", "00"), "one of FILE, --hex HEX and --text TEXT"),
        (("ppp", "--text", "x"), "--protocol: it is needed"),
        (("ppp", "--protocol", "whatever"), "--protocol: 'whatever' is no number"),
        (("ppp", "--protocol", "0020"), "--protocol: 0x0020 is none"),
        (("ppp", "--protocol", "lcp", "--code", "256"), "--code: 256 does not fit into an octet"),
        (("hdlc", "--address", "0z"), "--address: 'z' at offset 1 is no hex digit"),
        (("hdlc", "--control", "RR", "--ns", "0"), "--control: only an I frame has a number of its own"),
        (("hdlc", "--text", "x" * 65_001), "65001 octets are more than a frame carries"),
        *(
            (("cisco-hdlc", f"--keepalive={wrong}"), f"--keepalive: '{wrong}' is no two numbers of 32 bits")
            for wrong in ("5", "-1,4", "5,4294967296", "5,99999999999", "5,4,3", "a,b")
        ),
        (("ethernet", "--type", "05ff", "--text", "x"), "--type: 0x05ff would be a length"),
        (("ethernet", "--to", "02-00:00-00-00-01", "--type", "arp"), "--to: '02-00:00-00-00-01' is no MAC address"),
        (("cisco-hdlc", "--keepalive", "1,2", "--type", "cdp"), "--keepalive: a keep-alive has its type"),
        (("ethernet", "--to", "zz", "--type", "arp"), "--to: 'zz' is no MAC address"),
        (("ethernet", "--vlan", "4096", "--type", "arp"), "--vlan: 4096 is none"),
        (("ethernet", "--priority", "8", "--type", "arp"), "--priority: 8 is none"),
        (("ethernet", "--framing", "async", "--type", "arp"), "--framing async: nobody sends Ethernet so"),
        (("ethernet", "--fcs", "16", "--type", "arp"), "--fcs: an Ethernet line has an FCS of 32 bits"),
        (("hdlc", "--as", "capture", "--framing", "bit"), "--as capture: a capture holds frames alone"),
        (("hdlc", "-o", "/nowhere/at/all"), "/nowhere/at/all: cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("encode", *arguments)


@pytest.mark.parametrize("written", ["02:00:00:00:0A:0b", "02-00-00-00-0a-0b", "0200.0000.0a0b", "020000000a0b"])
def test_a_mac_address_is_read_as_people_write_it(written: str) -> None:
    assert shown("encode", "ethernet", "--to", written, "--type", "arp", "--framing", "none").startswith(
        "02 00 00 00 0a 0b 02 00"
    )


@pytest.mark.parametrize("protocol", ["hdlc", "ppp", "ethernet"])
def test_the_largest_frame_that_is_built_is_read_again(tmp_path: Path, protocol: str) -> None:
    carried, line = tmp_path / "carried", tmp_path / "line"
    carried.write_bytes(b"\xff" * 65_000)
    more = {"hdlc": (), "ppp": ("--protocol", "lcp", "--code", "1"), "ethernet": ("--type", "88b5")}[protocol]
    shown("encode", protocol, str(carried), *more, "-o", str(line))
    [found] = json.loads(frame("decode", protocol, str(line), "--json").stdout)["frames"]
    assert b"\xff" * 65_000 in bytes.fromhex(found["octets"])


def test_what_is_carried_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "packet"
    path.write_bytes(ETHERNET["tcp"][14:])
    assert shown("encode", "ppp", str(path), "--framing", "none").startswith("ff 03 00 21 45")
    capture = capture_file(tmp_path / "some.pcap", 1, [ETHERNET["tcp"]])
    assert "a capture holds frames" in refused("encode", "ppp", capture)
