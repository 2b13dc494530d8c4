"""The template of a connector: an imaginary vendor, "Plain till", with the plainest API there is. Copy this folder, and
read docs/writing-a-connector.md beside it.
"""

from connectors.till.connector import Till

__all__ = ["Till"]
