"""The contract on an installed package: collected by `python -m tests.contract NAME`, which gives `rig` and
`connector`."""

from __future__ import annotations

from connectors.base import Connector
from tests.contract.rig import Rig
from tests.contract.suite import ConnectorContract


class TestPackage(ConnectorContract):
    """The checks that every connector passes."""

    def test_the_rig_is_of_the_connector_that_is_installed_under_the_name(self, rig: Rig, connector: Connector) -> None:
        assert (rig.connector.platform, rig.connector.abilities) == (connector.platform, connector.abilities)

    def test_the_abilities_bound_every_call(self, connector: Connector) -> None:
        able = connector.abilities
        assert min(able.write_rows_max, able.read_rows_max, able.read_orders_max, able.write_lanes) >= 1
