"""Connectors: one folder per vendor. A leaf of the project: no database, no web, nothing of the application."""
