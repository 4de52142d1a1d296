"""`vipd frame` as people use it: what they type, what they see, what they are told when it is wrong."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.frame_cli import capture_file, frame, names, refused, runner, shown, told
from tests.support.specimens import ETHERNET, PPP
from vipd.cli.app import app
from vipd.errors import ConfigError
from vipd.wire import pcap
from vipd.wire.bit_hdlc import FLAG, frame_bits
from vipd.wire.bits import BitOrder, pack
from vipd.wire.pcap import Captured

EXAMPLE = "01001111110001111100111"
SABM = "0111111011000000111110100110110100011011101111110"
ASYNC = "7eff7d23c0217d216d7d207d243f7d357e"


def test_the_example_is_shown_with_its_stuffed_bit() -> None:
    output = shown("decode", "hdlc", "--bits", EXAMPLE)
    line, under = [each for each in output.splitlines() if "01111110" in each or "flag   " in each][:2]
    assert line.split() == ["0", "010", "01111110", "001111100", "111"]
    assert under.index("ignored") == line.index("010")
    assert under.index("flag") == line.index("01111110")
    assert under.index("▲") == line.index("001111100") + 7
    assert "0011111(0)0  address  7c" in output
    assert "has 3 bits of the next octet" in output


def test_without_colours_a_stuffed_bit_is_in_brackets_also_on_a_terminal() -> None:
    environment = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "120", "TERM": "xterm-256color"}
    output = runner.invoke(app, ["frame", "decode", "hdlc", "--bits", EXAMPLE], env=environment).stdout
    assert "0011111\x1b[1m(0)\x1b[0m0" in output


def test_colours_mark_flags_and_stuffed_bits() -> None:
    environment = {"FORCE_COLOR": "1", "COLUMNS": "120", "TERM": "xterm-256color"}
    output = runner.invoke(app, ["frame", "decode", "hdlc", "--bits", EXAMPLE], env=environment).stdout
    assert "\x1b[1;37;44m01111110\x1b[0m" in output
    assert "\x1b[1;37;41m0\x1b[0m" in output


@pytest.mark.parametrize(
    "arguments",
    [("hdlc", "--bits", SABM), ("hdlc", "--hex", "033f5bec"), ("hdlc", "--hex", "7e 03 3f 5b ec 7e"), ("hdlc", "-")],
)
def test_the_same_frame_is_read_from_any_form(arguments: tuple[str, ...]) -> None:
    found = told("decode", *arguments, data=SABM.encode())["frames"]
    assert [(each["octets"], each["fcs"], each["complete"]) for each in found] == [("033f5bec", "fcs16", True)]


def test_each_field_is_told_with_its_places_in_the_frame_and_on_the_line() -> None:
    [found] = told("decode", "hdlc", "--bits", SABM)["frames"]
    assert names(found) == ["address", "control", "FCS"]
    control = found["fields"][1]
    assert (control["meaning"], control["offset"], control["width"]) == ("U: SABM", 8, 8)
    poll = control["fields"][1]
    assert (poll["name"], poll["value"], poll["offset"], poll["line"]) == ("poll/final", 1, 11, [[20, 20]])
    assert control["fields"][0]["line"] == [[22, 24]]


@pytest.mark.parametrize("text", ["0x7e 0x03 0x3f 0x5b 0xec 0x7e", "7e:03-3f.5b|ec_7e", r"\x7e\x03\x3f\x5b\xec\x7e"])
def test_octets_are_read_as_people_write_them(text: str) -> None:
    [found] = told("decode", "hdlc", "--hex", text)["frames"]
    assert found["octets"] == "033f5bec"


@pytest.mark.parametrize("written", [f"0b{SABM}", f"0b{SABM[:10]}_{SABM[10:]}", f"0b{SABM[:9]} 0b{SABM[9:]}"])
def test_bits_with_a_prefix_are_bits_in_a_file_too(written: str) -> None:
    for found in (told("decode", "hdlc", "--bits", written), told("decode", "hdlc", "-", data=written.encode())):
        assert found["frames"][0]["octets"] == "033f5bec"


@pytest.mark.parametrize("form", ["bits", "hex", "binary"])
def test_a_file_is_read_as_what_it_is(tmp_path: Path, form: str) -> None:
    path = tmp_path / "line"
    contents = {
        "bits": f"# a line\n{SABM}\n",
        "hex": "7e03 3f,5b:ec\n7e # the end\n",
        "binary": "\x7e\x03\x3f\x5b\xec\x7e",
    }
    path.write_bytes(contents[form].encode("latin-1"))
    for more in ((), ("--form", form)):
        [found] = told("decode", "hdlc", str(path), *more)["frames"]
        assert found["octets"] == "033f5bec"


@pytest.mark.parametrize("group", [1, 2, 4])
def test_a_dump_with_columns_of_offsets_and_characters_is_read(group: int) -> None:
    octets = PPP["lcp request"] + b"~}#x"
    rows = [(at, octets[at : at + 16]) for at in range(0, len(octets), 16)]
    for shape in ("{:08x}: {:<47}  {}", "\t0x{:04x}:  {:<47}  {}"):
        lines = [
            shape.format(at, row.hex(" ", -group), "".join(chr(each) if 32 <= each < 127 else "." for each in row))
            for at, row in rows
        ]
        [found] = told("decode", "ppp", "-", data="\n".join(lines).encode())["frames"]
        assert found["octets"] == octets.hex()


def test_what_tcpdump_prints_is_read(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "some.pcap", 1, [ETHERNET["tcp options"]])
    command = ["tcpdump", "-nXXr", path]
    _, *lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    found = told("decode", "ethernet", "-", data="\n".join(lines).encode())["frames"]
    assert [each["octets"] for each in found] == [ETHERNET["tcp options"].hex()]


def test_octets_may_be_of_a_line_of_bits_in_either_order() -> None:
    for order, more in ((BitOrder.LSB_FIRST, ()), (BitOrder.MSB_FIRST, ("--msb",))):
        data = pack(FLAG + frame_bits(b"\x03\x3f", order=order), order)
        [found] = told("decode", "hdlc", "-", "--framing", "bit", "--form", "binary", *more, data=data)["frames"]
        assert found["octets"] == "033f5bec"


def test_a_blank_line_is_between_two_bare_frames() -> None:
    text = f"{PPP['echo'].hex(' ', 4)}\n\n{PPP['ipcp'].hex()}\n"
    found = told("decode", "ppp", "-", data=text.encode())["frames"]
    assert [each["octets"] for each in found] == [PPP["echo"].hex(), PPP["ipcp"].hex()]


@pytest.mark.parametrize(
    ("protocol", "link_type", "samples"),
    [
        ("ethernet", 1, [*ETHERNET.values()]),
        ("ppp", 9, [*PPP.values()]),
        ("ppp", 50, [*PPP.values()]),
        ("hdlc", 50, [*PPP.values()]),
        ("cisco-hdlc", 104, [bytes.fromhex("8f008035 00000002 00000005 00000004 ffff 00000000")]),
        ("ip", 101, [ETHERNET["tcp"][14:]]),
    ],
)
def test_captures_are_read_frame_by_frame(tmp_path: Path, protocol: str, link_type: int, samples: list[bytes]) -> None:
    path = capture_file(tmp_path / "some.pcap", link_type, samples)
    found = told("decode", protocol, path)["frames"]
    assert [each["octets"] for each in found] == [sample.hex() for sample in samples]
    assert len(shown("decode", protocol, path, "--brief").splitlines()) == len(samples)
    assert len(told("decode", protocol, path, "--count", "1")["frames"]) == 1


def test_a_brief_line_says_who_talks_to_whom(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "some.pcap", 1, [ETHERNET["tcp"], ETHERNET["tagged"], ETHERNET["arp"]])
    lines = shown("decode", "ethernet", path, "--brief").splitlines()
    assert "IPv4 192.0.2.1 to 198.51.100.2  TCP 40000 to 443 SYN ACK" in lines[0]
    assert "802.1Q tag VLAN 10" in lines[1]
    assert "ARP request" in lines[2]


def test_what_a_capture_cut_off_is_not_wrong(tmp_path: Path) -> None:
    path = tmp_path / "short.pcap"
    with path.open("wb") as file:
        pcap.write(file, 1, [Captured(ETHERNET["tcp"][:40], 54, 1)])
    shown("decode", "ethernet", str(path))


def test_an_fcs_that_the_capture_tells_of_is_checked(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "fcs.pcap", 1, [ETHERNET["padded"] + bytes(4)], fcs_octets=4)
    assert "expected" in told("decode", "ethernet", path, code=1)["frames"][0]["troubles"][0]["text"]


def test_what_is_wrong_is_named_at_its_offset_and_the_exit_code_tells() -> None:
    output = shown("decode", "ppp", "--hex", ASYNC.replace("3f7d35", "3f7d36"), code=1)
    assert "octet 8, octet 13 of the line: FCS: 0x153f expected" in output
    output = shown("decode", "hdlc", "--bits", "01111110" + "01100" + "1" * 8 + "0", code=1)
    assert "the sender gave it up; it has 0 octets and 5 bits" in output
    [trouble] = told("decode", "ppp", "--hex", "ff03c021010100", code=1)["frames"][0]["troubles"]
    assert trouble == {"offset": 48, "text": "length: 2 octets expected at offset 6, 1 left"}


def test_each_burst_of_ethernet_is_a_line_of_its_own() -> None:
    burst = shown("encode", "ethernet", "--type", "88b5", "--as", "hex")
    found = told("decode", "ethernet", "-", data=f"{burst}\n{burst}".encode())
    assert [line["stretches"][0]["part"] for line in found["lines"]] == ["preamble", "preamble"]
    assert [each["line"]["number"] for each in found["frames"]] == [0, 1]


def test_nothing_behind_a_flag_is_no_frame() -> None:
    assert "no frame" in shown("decode", "hdlc", "--bits", "0111111001111110")
    assert told("decode", "hdlc", "--bits", "0111111001111110")["frames"] == []


def test_what_is_long_is_shortened_unless_all_is_wanted() -> None:
    line = "7e" + "00" * 1000 + "7e"
    assert len(shown("decode", "hdlc", "--hex", line, "--fcs", "none")) < 3000
    assert len(shown("decode", "hdlc", "--hex", line, "--fcs", "none", "--all")) > 3000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hdlc",), "one of FILE, --bits BITS and --hex HEX is needed"),
        (("hdlc", "--bits", "01", "--hex", "7e"), "one of FILE"),
        (("hdlc", "--bits", "0102"), "--bits: '2' at offset 3 is no bit"),
        (("hdlc", "--hex", "7e7g"), "--hex: 'g' at offset 3 is no hex digit"),
        (("hdlc", "--hex", "7e 7"), "--hex: the octet at offset 3 has one hex digit"),
        (("hdlc", "--hex", ""), "--hex: there is not one octet in it"),
        (("hdlc", "--bits", " "), "--bits: there is not one bit in it"),
        (("hdlc", "--bits", "0101", "--framing", "none"), "--bits: 4 bits are no whole number of octets"),
        (("ethernet", "--hex", "00", "--framing", "async"), "--framing async: nobody sends ethernet so"),
        (("ip", "--hex", "00", "--framing", "bit"), "--framing bit: nobody sends ip so"),
        (("ppp", "--hex", "7e", "--accm", "100000000"), "--accm: '100000000' is no number"),
        (("hdlc", "/nowhere"), "/nowhere: cannot be read: No such file or directory"),
        (("hdlc", "/tmp"), "/tmp: cannot be read: Is a directory"),
        (("hdlc", "-"), "standard input: it is empty"),
        (("hdlc", "--hex", "107e0x7d"), "--hex: 'x' at offset 5 is no hex digit"),
        (("hdlc", "--hex", "7e", "--form", "bits"), "--form: it tells what FILE holds, and there is none"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("decode", *arguments)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"0101 # fine\n01x1", "'x' at offset 14 is no hex digit"),
        (b"7e 0", "the octet at offset 3 has one hex digit"),
        (pcap.Form().header(1) + b"abc", "16 octets expected at offset 24, 3 left"),
        (pcap.Form().header(9), ""),
        (pcap.Form().header(9) + pcap.Form().record(Captured(b"abc", 3, 9)), "vipd frame decode ppp"),
        (
            pcap.Form().header(147) + pcap.Form().record(Captured(b"abc", 3, 9)),
            "147, not ethernet, which vipd",
        ),
        (b"\0" * 600_000, "head -c 524288"),
        (b"ab" * 600_000, "head -c 524288"),
        (b"01" * 3_000_000, "head -c 524288"),
        (gzip.compress(b"anything", mtime=0), "it is compressed: gunzip < "),
        (b"0000: " + b"a" * 100_000 + b"!", "'!' at offset 100006 is no hex digit"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, contents: bytes, message: str) -> None:
    path = tmp_path / "wrong"
    path.write_bytes(contents)
    if message:
        said = refused("decode", "ethernet", str(path))
        assert said.startswith(f"{path}: ")
        assert message in said
    else:
        assert "no frame" in shown("decode", "ethernet", str(path))


def test_frames_before_the_damage_of_a_capture_are_shown(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "cut.pcap", 1, [ETHERNET["tcp"], ETHERNET["udp"]])
    Path(path).write_bytes(Path(path).read_bytes()[:-3])
    result = frame("decode", "ethernet", path, "--brief")
    assert isinstance(result.exception, ConfigError)
    assert len(result.stdout.splitlines()) == 1
    result = frame("decode", "ethernet", path, "--json")
    assert isinstance(result.exception, ConfigError)
    assert [each["octets"] for each in json.loads(result.stdout)["frames"]] == [ETHERNET["tcp"].hex()]


def test_the_program_says_it_in_one_line_and_exits_with_2() -> None:
    command = [sys.executable, "-m", "vipd.cli.main", "frame", "decode", "hdlc", "--bits", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--bits: '2' at offset 0 is no bit; 0 and 1 are, with spaces where you like\n"


def test_a_terminal_that_lacks_our_signs_shows_others() -> None:
    command = [sys.executable, "-m", "vipd.cli.main", "frame", "decode", "hdlc", "--bits", EXAMPLE]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\n----" in done.stdout
    assert b"0011111(0)0  address  7c" in done.stdout


def test_help_imports_nothing_slow() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['vipd', 'frame', 'decode', '--help']\n"
        "from vipd.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "slow = {'numpy', 'fastcrc', 'pyroute2', 'vipd.anatomy'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_frames_of_a_capture_are_shown_as_they_come() -> None:
    command = [sys.executable, "-m", "vipd.cli.main", "frame", "decode", "ppp", "-", "--brief"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(pcap.Form().header(9))
        for octets in (PPP["echo"], PPP["ipcp"]):
            process.stdin.write(pcap.Form().record(Captured(octets, len(octets), 9)))
            process.stdin.flush()
            assert b"frame" in process.stdout.readline()


def test_a_capture_may_come_through_a_pipe() -> None:
    file = BytesIO()
    pcap.write(file, 9, [Captured(PPP["tcp"], len(PPP["tcp"]), 9)] * 5000)
    assert len(shown("decode", "ppp", "-", "--brief", data=file.getvalue()).splitlines()) == 5000
