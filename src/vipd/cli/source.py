"""Where status and connections come from: the daemon, or, where none runs, the data plane itself.

Forwarding goes on without the daemon, so looking at it must work too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from vipd.api.client import Client, NotRunningError
from vipd.api.schema import Status, matching
from vipd.config.values import endpoint
from vipd.model.director import Endpoint
from vipd.model.instance import Instance
from vipd.model.state import Connection


def status_of(instance: Instance) -> Status:
    try:
        with Client(instance) as client:
            return client.status()
    except NotRunningError as error:
        from vipd.daemon.observe import observe

        found = observe(instance)
        if found is None:
            raise error from None
        return found


def service_names(instance: Instance) -> dict[Endpoint, str]:
    """As the daemon knows them; where none runs, nobody does."""
    try:
        with Client(instance) as client:
            status = client.status()
    except NotRunningError:
        return {}
    return {endpoint(listen): service.name for service in status.services for listen in service.listen}


def connections_of(instance: Instance, filters: dict[str, str], limit: int) -> Iterator[Connection]:
    try:
        with Client(instance) as client:
            yield from client.connections(filters, limit)
    except NotRunningError as error:
        from vipd.daemon.observe import observe_connections

        found = observe_connections(instance, matching(filters), limit)
        if found is None:
            raise error from None
        print(f"{error}; these are the data plane's own", file=sys.stderr)
        yield from found
