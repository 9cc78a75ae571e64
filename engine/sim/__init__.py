"""Simulation testing: the whole engine on a virtual clock, an in-memory network and a disk that may fail.

A seed gives a script (what goes wrong, and when), a market and every draw; the same seed gives the same run,
bit for bit. It runs in a process of its own, whose clocks and connections are replaced
(``engine.sim.stand_ins``). What is replaced, and what is the product's own: docs/reliability.md.
"""
