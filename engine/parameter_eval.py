"""``python -m engine.parameter_eval``: the seed's name of the sweep (``engine.run.sweep.command``)."""

import sys

from engine.run.sweep.command import main

if __name__ == "__main__":
    sys.exit(main())
