"""What-ifs: the core decides again over market rows, by other numbers."""
