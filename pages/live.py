"""The live page: may I trust it, what is the engine about to do and why, what did it do, how do I stop it?"""

from pages.widgets import stream

stream.live_panels()
