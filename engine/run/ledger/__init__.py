"""The ledger's file: written by one thread, read beside it, mended after a crash."""
