"""How many units are sold twice, and how many buyers are turned away from a full shelf, by how shops are kept equal.

Any tool can be measured: an adapter is a page (`market.Adapter`). docs/oversell-benchmark.md.
"""
