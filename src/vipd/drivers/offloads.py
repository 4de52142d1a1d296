"""Receive offloads that merge packets: off where XDP would see the merged ones, and put back."""

from __future__ import annotations

import logging
from typing import Final

from pyroute2.ethtool import Ethtool

from vipd.drivers.ledger import ChangedOffload, Ledger

log = logging.getLogger(__name__)

MERGING: Final = ("rx-gro", "rx-lro", "rx-gro-hw")


def apply(ledger: Ledger, interface: str) -> None:
    """For an interface in generic mode: a packet larger than the link takes could not be sent on."""
    with Ethtool() as ethtool:
        features = ethtool.get_features(interface)
        on = [
            features.features[name] for name in MERGING if name in features.features and features.features[name].enable
        ]
        if not on:
            return
        ledger.add(
            "offloads",
            tuple(ChangedOffload(interface=interface, feature=feature.name, before=True) for feature in on),
        )
        for feature in on:
            feature.enable = False
        log.info("%s: switching off %s", interface, ", ".join(feature.name for feature in on))
        ethtool.set_features(interface, features)


def restore(ledger: Ledger, interfaces: frozenset[str]) -> None:
    """Of the interfaces that there still are."""
    with Ethtool() as ethtool:
        for name in sorted({entry.interface for entry in ledger.contents.offloads} & interfaces):
            features = ethtool.get_features(name)
            for entry in ledger.contents.offloads:
                if entry.interface == name and entry.feature in features.features:
                    features.features[entry.feature].enable = entry.before
            ethtool.set_features(name, features)
    ledger.drop("offloads", ledger.contents.offloads)
