"""Setting up: merchants, and their places."""

from __future__ import annotations

import argparse
from typing import Any

from app.accounts import audit
from app.accounts.merchants import create_merchant, get_merchant, list_merchants
from app.catalog.locations import Location, create_location, list_locations
from app.commands.frame import add_command, add_group, add_merchant, with_merchant, with_runtime
from app.core.config import Settings
from app.core.db import Session
from app.core.runtime import Runtime
from app.listings.locations import change_location, find_location_id, lock_location
from app.listings.lookup import get_channel_id
from app.listings.places import map_place

BY = "command line"


def add(commands: Any) -> None:
    """merchant create and list, location create, list, set and map."""
    merchant = add_group(commands, "merchant", "merchants")
    create = add_command(merchant, "create", run_merchant_create, "a new merchant")
    create.add_argument("name")
    create.add_argument("--currency", default="USD", help="ISO 4217 code (default USD)")
    methods = ("fifo", "average")
    create.add_argument("--cost-method", default="fifo", choices=methods, help="what a unit costs (default fifo)")
    create.add_argument("--time-zone", default="UTC", help="IANA name; it decides the accounting day (default UTC)")
    add_command(merchant, "list", run_merchant_list, "all merchants")
    location = add_group(commands, "location", "the merchant's places")
    place = add_merchant(add_command(location, "create", run_location_create, "a new location"))
    place.add_argument("name")
    place.add_argument("--priority", type=int, default=100, help="lower serves orders first that say no place")
    add_merchant(add_command(location, "list", run_location_list, "all locations, the first to serve first"))
    setting = add_merchant(add_command(location, "set", run_location_set, "which serves first; whether one is in use"))
    setting.add_argument("name")
    setting.add_argument("--priority", type=int, help="lower serves orders first that say no place")
    setting.add_argument("--active", choices=("yes", "no"), help="no: an empty one serves and receives nothing")
    mapping = add_merchant(add_command(location, "map", run_location_map, "which place of a channel a location is"))
    mapping.add_argument("channel", help="the channel's name")
    mapping.add_argument("place", help="the place there, by its name or key")
    mapping.add_argument("location", help="our location, by its name")


def run_merchant_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """A merchant; everything else belongs to one."""

    def create(runtime: Runtime) -> int:
        how = {"currency": arguments.currency, "cost_method": arguments.cost_method, "time_zone": arguments.time_zone}
        create_merchant(runtime.database, runtime.clock(), name=arguments.name, **how)
        print(f"{arguments.name} is there.")
        return 0

    return with_runtime(settings, create)


def run_merchant_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each."""

    def show(runtime: Runtime) -> int:
        for merchant in list_merchants(runtime.database, runtime.clock()):
            print(f"{merchant.name}\t{merchant.currency}\t{merchant.cost_method}\t{merchant.time_zone}")
        return 0

    return with_runtime(settings, show)


def run_location_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """A place of the merchant's own."""

    def create(session: Session) -> int:
        create_location(session, arguments.name, arguments.priority)
        told = {"priority": arguments.priority}
        audit.note(session, BY, "location.created", f"location {arguments.name}", after=told)
        return 0

    code = with_merchant(arguments, settings, create)
    print(f"{arguments.name} is there.")
    return code


def run_location_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each."""

    def show(session: Session) -> int:
        for place in list_locations(session):
            print(_told(place))
        return 0

    return with_merchant(arguments, settings, show)


def run_location_set(arguments: argparse.Namespace, settings: Settings) -> int:
    """What is not named stays."""

    def change(session: Session) -> int:
        place = lock_location(session, find_location_id(session, arguments.name))
        active = None if arguments.active is None else arguments.active == "yes"
        print(_told(change_location(session, place, priority=arguments.priority, active=active)))
        return 0

    return with_merchant(arguments, settings, change)


def _told(place: Location) -> str:
    return f"{place.name}\tpriority {place.priority}\t{'in use' if place.active else 'not in use'}"


def run_location_map(arguments: argparse.Namespace, settings: Settings) -> int:
    """The channel is asked for its places; orders that wait for this one are booked then."""

    def act(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        with runtime.begin(merchant.merchant_id, now) as session:
            channel_id = get_channel_id(session, arguments.channel)
            ours = find_location_id(session, arguments.location)
        place = map_place(runtime, merchant.merchant_id, channel_id, arguments.place, ours)
        runtime.ring()
        print(f"{place} is {arguments.location} now.")
        return 0

    return with_runtime(settings, act)
