"""The executable specification: the data plane written as rules, for people to read and programs to run. Pure.

A packet, a configuration, what the director remembers, the time and the kernel's routes go in; out come
the packet's end, its bytes, what is remembered from then on, and the reasons. `decide` is the way in.
"""

from vipd.spec.configuration import Configuration, Interface, Server, Service
from vipd.spec.decide import Decision, decide
from vipd.spec.packet import Ingress
from vipd.spec.reason import RULES, Reason, Rule
from vipd.spec.state import State
from vipd.spec.sweep import sweep

__all__ = [
    "RULES",
    "Configuration",
    "Decision",
    "Ingress",
    "Interface",
    "Reason",
    "Rule",
    "Server",
    "Service",
    "State",
    "decide",
    "sweep",
]
