"""Comparing what channels show with what we believe: explained first, corrected then."""
