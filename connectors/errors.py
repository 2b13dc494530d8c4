"""Errors of a channel, by what the caller should do about them.

    ChannelError
    ├── Transient          it surely did not happen; again after `retry_after_s`
    │   └── Throttled      the channel asked us to wait
    ├── OutcomeUnknown     it may have happened: read back before anything else
    ├── AccessDenied       a person has to act: token, key, scope
    ├── NotFound           the thing asked for is gone
    ├── Refused            the channel says the request itself is wrong: a bug or a setting
    │   └── NeverApplied   a repetition, and the first sending surely had no effect: again under a new key
    ├── Malformed          bytes that do not say what they should; `field` names where
    └── InvalidSignature   a delivery that is not from the shop it names

Every error has a `reason`: one slug, the same in log, metric, page and test. `permanent` is the whole retry policy.
"""

from __future__ import annotations

from typing import ClassVar


class ChannelError(Exception):
    """Base of all: `reason` is a slug, `detail` one plain sentence without secrets or personal data."""

    permanent: ClassVar[bool] = True

    def __init__(
        self, reason: str, detail: str = "", *, retry_after_s: float | None = None, answer: bytes = b""
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.answer = answer  # the refusal's body, for the vendor's own error table; never logged


class Transient(ChannelError):
    """The call surely had no effect and may be tried again."""

    permanent = False


class Throttled(Transient):
    """The channel asked us to slow down."""


class OutcomeUnknown(ChannelError):
    """The request left, the answer did not come: it may or may not have been applied."""

    permanent = False


class AccessDenied(ChannelError):
    """Token, key or scope refused."""


class NotFound(ChannelError):
    """The address or the object does not exist there."""


class Refused(ChannelError):
    """The channel understood the request and will never accept it."""


class NeverApplied(Refused):
    """A write sent again under its key: the first sending was refused and had no effect. Any other refusal of a
    repetition says nothing of the first."""


class Malformed(ChannelError):
    """A body that can't be read; `field` is the path of the first thing wrong with it."""

    def __init__(self, reason: str, detail: str = "", *, field: str = "") -> None:
        super().__init__(reason, f"{field}: {detail}" if field else detail)
        self.field = field


class InvalidSignature(ChannelError):
    """`missing_signature` or `invalid_signature`."""
