"""An uploaded text file as text: UTF-8, or UTF-16 that says so; anything else is refused by name and never guessed.

A wrong guess would put quietly broken names into the catalogue, so a guess is only ever part of the refusal.
"""

from __future__ import annotations

import codecs
import re

from app.core.errors import InvalidInput

_SAVE_AS = "save it as “CSV UTF-8” and upload that"
_BINARY = {
    b"PK\x03\x04": "an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
}
_SAMPLE = 100_000


def decode_text(data: bytes) -> str:
    """The text without its byte-order mark. `InvalidInput`: `not_text`, `utf16_without_mark`, `bad_utf16`,
    `other_encoding`, `bad_utf8`; each says what to do."""
    for mark, what in _BINARY.items():
        if data.startswith(mark):
            raise InvalidInput("not_text", f"this is {what}, not a CSV file: {_SAVE_AS}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode_utf16(data)
    body = data.removeprefix(codecs.BOM_UTF8)
    if body[:_SAMPLE].count(b"\0") * 4 > len(body[:_SAMPLE]):
        raise InvalidInput("utf16_without_mark", f"this looks like UTF-16 without its byte-order mark: {_SAVE_AS}")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(body, error.start, marked=len(body) < len(data)) from None


def name_encoding(data: bytes) -> str:
    """What `decode_text` takes the bytes for."""
    return "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8"


def _decode_utf16(data: bytes) -> str:
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError:
        raise InvalidInput("bad_utf16", f"the file says it is UTF-16 and is broken: {_SAVE_AS}") from None


def _not_utf8(body: bytes, position: int, *, marked: bool) -> InvalidInput:
    line = body.count(b"\n", 0, position) + 1
    if marked:
        return InvalidInput("bad_utf8", f"the file says it is UTF-8 and is broken on line {line}: {_SAVE_AS}")
    guess = _guess(body[max(0, position - 100) : position + _SAMPLE])
    return InvalidInput("other_encoding", f"line {line} is not UTF-8, this looks like {guess}: {_SAVE_AS}")


def _guess(sample: bytes) -> str:
    """Single accents between plain letters are a Latin script; whole words of high bytes are not."""
    high = [byte for byte in sample if byte >= 0x80]
    in_words = sum(map(len, re.findall(rb"[\x80-\xff]{3,}", sample)))
    if in_words * 2 < len(high):
        return "Windows-1252 (Western European)"
    # а, и and о of Windows-1251 are a quarter of any Russian text; in Windows-1256 they are à, è and î.
    vowels = sum(map(high.count, b"\xe0\xe8\xee"))
    return "Windows-1251 (Cyrillic)" if vowels * 25 > len(high) else "Windows-1256 (Arabic)"
