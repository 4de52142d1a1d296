"""Lines as people write them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.errors import ConfigError
from vipd.model.line import Flow, Place, Pty, Serial, Stdio, Tcp, TcpListen, parse_place

PLACES = [
    ("serial:/dev/ttyS0", Serial("/dev/ttyS0", 115_200)),
    ("serial:/dev/ttyUSB1,9600", Serial("/dev/ttyUSB1", 9600)),
    ("serial:/dev/pts/7,rtscts", Serial("/dev/pts/7", 115_200, Flow.RTSCTS)),
    ("serial:/dev/ttyS0,57600,xonxoff", Serial("/dev/ttyS0", 57_600, Flow.XONXOFF)),
    ("pty", Pty()),
    ("stdio", Stdio()),
    ("tcp:paris.example:7000", Tcp("paris.example", 7000)),
    ("tcp:192.0.2.1:1", Tcp("192.0.2.1", 1)),
    ("tcp:[2001:db8::1]:65535", Tcp("2001:db8::1", 65_535)),
    ("tcp-listen:7000", TcpListen(ip_address("127.0.0.1"), 7000)),
    ("tcp-listen:0.0.0.0:7000", TcpListen(ip_address("0.0.0.0"), 7000)),
    ("tcp-listen:[::]:7000", TcpListen(ip_address("::"), 7000)),
]


@pytest.mark.parametrize(("text", "place"), PLACES)
def test_a_line_is_read_as_it_is_meant_and_said_so_that_it_is_read_again(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no line; allowed is serial:DEVICE"),
        ("udp:host:1", "is no line"),
        ("pty:", "is no line"),
        ("stdio:1", "is no line"),
        ("serial", "is no line"),
        ("serial:", "'' is no device; a path such as /dev/ttyS0"),
        ("serial:ttyS0", "'ttyS0' is no device"),
        ("serial:/dev/ttyS0,fast", "'fast' is neither a speed in baud nor a flow control; those are none, rtscts"),
        ("serial:/dev/ttyS0,fast,rtscts", "'fast' is not a speed in baud; 1 to 10000000"),
        ("serial:/dev/ttyS0,0", "'0' is not a speed in baud"),
        ("serial:/dev/ttyS0,9600,rtscts,8n1", "'8n1' is one part too many"),
        ("tcp:host", "'host' is not a port; 1 to 65535"),
        ("tcp:host:0", "'0' is not a port"),
        ("tcp:host:65536", "'65536' is not a port"),
        ("tcp:host:٣", "is not a port"),
        ("tcp:7000", "does not say which host"),
        ("tcp::7000", "does not say which host"),
        ("tcp:2001:db8::1:7000", "an IPv6 address stands in brackets"),
        ("tcp:[paris]:7000", "'[paris]' is no IPv6 address"),
        ("tcp:pa ris:7000", "is neither the name of a host nor an address"),
        ("tcp-listen:paris:7000", "'paris' is no address to listen at"),
        ("tcp-listen:", "'' is not a port"),
    ],
)
def test_what_is_no_line_is_refused_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_place(text)
    assert said in str(refused.value)
    assert str(refused.value).startswith("over: ")


@given(
    st.one_of(
        st.text(), st.sampled_from(["serial:", "tcp:", "tcp-listen:"]).flatmap(lambda s: st.text().map(lambda t: s + t))
    )
)
def test_any_text_is_a_line_or_refused(text: str) -> None:
    try:
        place = parse_place(text)
    except ConfigError:
        return
    assert parse_place(str(place)) == place
