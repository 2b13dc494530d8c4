"""Channels: how each stands, how far behind it is, and its state."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.core.errors import NotFound
from app.insight.home import ChannelView, list_channel_views
from app.listings.states import change_state
from app.web.api.call import Call
from app.web.api.fields import In, Out
from app.web.api.route import Route
from app.web.api.table import serves


class HealthOut(Out):
    """One thing to say about a channel: a slug, how bad it is, and what the channel said."""

    reason: str
    level: Literal["good", "quiet", "warn", "bad"]
    failure: str
    count: int
    since: datetime | None


class ChannelOut(Out):
    """A connected shop. Its lag: when its orders were last read, when a number was last written, and how many numbers
    (`due`) wait since when."""

    channel_id: int
    name: str
    platform: str
    state: Literal["active", "paused", "shadow", "disconnected"]
    last_read_at: datetime | None
    last_push_at: datetime | None
    due: int
    due_since: datetime | None
    health: list[HealthOut]


class ChannelsOut(Out):
    """All channels."""

    data: list[ChannelOut]


class StateIn(In):
    """`shadow`: everything runs, no number is written. What is to be active is in shadow until it has been read."""

    state: Literal["active", "paused", "shadow"]


@serves(Route("GET", "/channels", ChannelsOut, "All channels: state, lag, health", "channels:read"))
def list_channels(call: Call) -> ChannelsOut:
    """All channels."""
    return ChannelsOut(data=[_out(view) for view in list_channel_views(call.session)])


@serves(Route("GET", "/channels/{channel_id}", ChannelOut, "One channel", "channels:read"))
def get_channel(call: Call) -> ChannelOut:
    """One channel."""
    return _one(call)


@serves(Route("PUT", "/channels/{channel_id}/state", ChannelOut, "Activate, pause or only watch a channel",
              "channels:write", body=StateIn))  # fmt: skip
def put_state(call: Call) -> ChannelOut:
    """Set a channel's state."""
    change_state(call.session, call.path["channel_id"], call.body.state, call.by)
    return _one(call)


def _one(call: Call) -> ChannelOut:
    for view in list_channel_views(call.session):
        if view.channel_id == call.path["channel_id"]:
            return _out(view)
    raise NotFound("unknown_channel", "no such channel")


def _out(view: ChannelView) -> ChannelOut:
    return ChannelOut.model_validate(view)
