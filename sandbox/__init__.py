"""Pretend shops with real wire formats: for the demo, the contract tests and the simulator."""
