"""Directors made up of a few lines of configuration, and what they say of packets."""

from __future__ import annotations

from dataclasses import replace

from vipd.config import loads
from vipd.explain.conversation import Conversation, ends_of, said_of
from vipd.explain.imagined import MTU, imagined
from vipd.explain.scene import Scene
from vipd.explain.telling import told
from vipd.explain.walk import Walk
from vipd.model.keys import SECRET_BYTES

SECRET = bytes(range(SECRET_BYTES))
CLIENT = "203.0.113.7:4711"
SERVICES = """
interfaces: [eth0, eth1]
services:
  web:
    listen: [192.0.2.10:80/tcp, 192.0.2.10:443/tcp]
    method: dr
    scheduler: wlc
    servers: [10.0.0.11, {address: 10.0.0.12, weight: 2}, {address: 10.0.0.13, weight: 0}]
  shop: {listen: 192.0.2.11:80/tcp, method: nat, scheduler: rr, servers: ["10.0.0.11:8080", "10.0.0.12:8080"]}
  shop6: {listen: "[2001:db8::11]:80/tcp", method: nat, servers: ["[2001:db8:1::11]:8080"]}
  dns: {listen: 192.0.2.53:53/udp, method: tun, scheduler: mh, servers: [10.0.0.11, 10.0.0.12]}
  idle: {listen: 192.0.2.12:80/tcp, method: nat, servers: [{address: 10.0.0.11, weight: 0}]}
"""


def scene_of(text: str = SERVICES, secret: bytes | None = SECRET, mtu: int = MTU) -> Scene:
    return imagined(loads(text).director, secret, mtu)


def ask(scene: Scene, to: str, *packets: str, source: str | None = CLIENT, payload: int = 0) -> list[Walk]:
    """Each packet finds what the ones before it left: `SYN`, `reply:SYN+ACK`, `ACK`."""
    talk, done = Conversation(scene), list[Walk]()
    wanted = ends_of(source, to, scene).wanted
    for text in packets or ("SYN",):
        said = said_of("--flags", text)
        packet = replace(wanted, flags=said.flags, payload=payload)
        done.append(talk.answer("--flags", packet, done[-1]) if said.reply else talk.ask(packet))
    return done


def words(done: Walk, scene: Scene) -> dict[str, list[str]]:
    """The lines under each heading."""
    return {part.heading: list(part.lines) for part in told(done, scene, scene.now)}
