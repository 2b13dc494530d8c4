"""The catalogue: items, places, kits, and bringing them in."""
