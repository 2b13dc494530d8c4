"""Merchants, and who may act for them."""
