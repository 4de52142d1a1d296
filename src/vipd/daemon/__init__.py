"""The composition root: what runs, in which order, and what it leaves."""

from vipd.daemon.compare import compare
from vipd.daemon.down import down
from vipd.daemon.observe import observe, observe_connections
from vipd.daemon.start import run
from vipd.daemon.tracing import interface_names, tracing

__all__ = ["compare", "down", "interface_names", "observe", "observe_connections", "run", "tracing"]
