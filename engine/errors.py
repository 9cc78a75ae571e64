"""Every error of the engine, as one tree.

Raise where it is known, catch where someone can act. The text of a ``StartError`` is one line for the
operator: what is wrong, what was expected, where to mend it.
"""


class EngineError(Exception):
    """Something the engine knows the name of."""


class WireError(EngineError):
    """A frame from the venue was not understood. It is counted and journaled, never fatal."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DecodingError(EngineError):
    """Bytes of somebody else do not say what they should; the text says why, not where they were."""


class StartError(EngineError):
    """The engine cannot start; the text says what to do."""


class SettingsError(StartError):
    """A setting is missing, wrong or unsafe."""


class JournalError(EngineError):
    """The flight recorder cannot record, so nothing may be traded."""


class SessionFileError(StartError):
    """A recorded session cannot be read."""
