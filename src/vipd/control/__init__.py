"""Desired state, plan, slot tables: every decision about the data plane, made without touching it."""

from vipd.control.desired import Desired, Drain, desired, server_key, tunnel_source
from vipd.control.environment import environment, environment_warnings, refusals
from vipd.control.plan import Step, describe, plan, policies

__all__ = [
    "Desired",
    "Drain",
    "Step",
    "describe",
    "desired",
    "environment",
    "environment_warnings",
    "plan",
    "policies",
    "refusals",
    "server_key",
    "tunnel_source",
]
