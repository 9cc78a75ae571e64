"""A simulated market, calibrated to recordings (docs/practice.md)."""

from engine.practice.simulation.opening import Opening, opening_start_ms
from engine.practice.simulation.simulated import SimulatedTape, simulate

__all__ = ["Opening", "SimulatedTape", "opening_start_ms", "simulate"]
