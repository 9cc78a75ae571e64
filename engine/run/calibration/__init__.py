"""Calibration: how good the probability was, and a layer that may be fitted over it."""
