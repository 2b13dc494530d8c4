"""The ledger: movements, levels, layers and journal. `post` is the only writer."""
