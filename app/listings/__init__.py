"""Channels, what they sell of our items, and what we believe each shows."""
