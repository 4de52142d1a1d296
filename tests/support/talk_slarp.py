"""Ends of Cisco HDLC links for tests, and what they say."""

from __future__ import annotations

from random import Random

from vipd.model.link import Effect, Send
from vipd.slarp.machine import CiscoHdlc
from vipd.slarp.settings import Settings
from vipd.wire.cisco_hdlc import BROADCAST, Frame, Slarp, Type, decode_slarp


def machine(wanted: Settings, seed: int = 1) -> CiscoHdlc:
    return CiscoHdlc(wanted, Random(seed).randbytes)


def said(effects: list[Effect]) -> list[Slarp]:
    return [decode_slarp(Frame.decode(effect.frame).payload) for effect in effects if isinstance(effect, Send)]


def heard(packet: Slarp) -> bytes:
    return Frame(BROADCAST, Type.SLARP, packet.encode()).encode()
