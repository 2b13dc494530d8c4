"""Barcodes: whether the last digit of a GTIN is the one that the others ask for. A wrong one is told, never refused:
shops print codes of their own."""

from __future__ import annotations

GTIN_LENGTHS = frozenset({8, 12, 13, 14})


def has_wrong_check_digit(barcode: str) -> bool:
    """Whether it looks like an EAN, UPC or GTIN and was mistyped (GS1 General Specifications, 7.9)."""
    if len(barcode) not in GTIN_LENGTHS or not (barcode.isascii() and barcode.isdigit()):
        return False
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(barcode[:-1])))
    return (10 - total % 10) % 10 != int(barcode[-1])
