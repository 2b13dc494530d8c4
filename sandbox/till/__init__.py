"""A pretend "Plain till": the shop that the template connector (`connectors/till`) is proved against."""

from sandbox.till.shop import SECRET, TOKEN, PretendTill

__all__ = ["SECRET", "TOKEN", "PretendTill"]
