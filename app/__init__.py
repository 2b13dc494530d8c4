"""Perpetual: one stock ledger for a merchant who sells in several places, and every channel kept equal to it."""
