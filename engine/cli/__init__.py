"""The command line, by what its commands are for. ``engine.__main__`` puts it together.

What a command needs is imported when it runs: others start without it.
"""
