"""Sessions that every version of the core has to decide as this one did; ``rewrite`` alone makes them."""
