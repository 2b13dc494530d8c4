"""`python -m bench [ledger|ingest|sync …]`: the command line's `bench`; without words, all three in turn."""

from __future__ import annotations

import sys

from app.cli import main

if __name__ == "__main__":
    asked = [sys.argv[1:]] if sys.argv[1:] else [["ledger"], ["ingest"], ["sync"]]
    sys.exit(max(main(["bench", *words]) for words in asked))
