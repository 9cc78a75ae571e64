"""A simulated market, calibrated to recordings (docs/practice.md)."""

from engine.practice.simulated.market import SimulatedTape, simulate
from engine.practice.simulated.opening import Opening, opening_start_ms

__all__ = ["Opening", "SimulatedTape", "opening_start_ms", "simulate"]
