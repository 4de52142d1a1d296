"""The composition root: what runs, in which order, and what it leaves."""

from vipd.daemon.down import down
from vipd.daemon.observe import observe, observe_connections
from vipd.daemon.start import run

__all__ = ["down", "observe", "observe_connections", "run"]
