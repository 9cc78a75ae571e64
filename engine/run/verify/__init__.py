"""The proof by replay: today's core against the decisions that were recorded."""
