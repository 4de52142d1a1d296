"""Where status and connections come from: the daemon, or, where none runs, the data plane itself.

Forwarding goes on without the daemon, so looking at it must work too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from vipd.api.client import Client, NotRunningError
from vipd.api.schema import Status, matching
from vipd.model.instance import Instance
from vipd.model.state import Connection


def status_of(instance: Instance) -> Status:
    try:
        with Client(instance) as client:
            return client.status()
    except NotRunningError as error:
        from vipd.daemon import observe

        found = observe(instance)
        if found is None:
            raise error from None
        return found


def connections_of(instance: Instance, filters: dict[str, str], limit: int) -> Iterator[Connection]:
    try:
        with Client(instance) as client:
            yield from client.connections(filters, limit)
    except NotRunningError as error:
        from vipd.daemon import observe_connections

        found = observe_connections(instance, matching(filters), limit)
        if found is None:
            raise error from None
        print(f"{error}; these are the data plane's own", file=sys.stderr)
        yield from found
