"""The service in virtual time, among shops, networks and processes that fail: one seed is one run.

The code under test is the service's own, unchanged: the same steps, connectors and SQL. What is made up is everything
around it: time, dice, the network, the shops (`sandbox`), the people, and when a process dies. docs/simulation.md.
"""
