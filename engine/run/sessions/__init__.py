"""The sessions of a data folder: found, named, kept, needed, removed."""
