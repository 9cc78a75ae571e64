"""How fast it is: figures with a baseline in the same run, never pass or fail.

Machines are shared and noisy: quote ratios and medians.
"""
