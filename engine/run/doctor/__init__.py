"""The check-up before a watch, by what it looks at."""
