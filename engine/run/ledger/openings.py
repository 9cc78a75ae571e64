"""How a session opened, as far as this version knows the words: an update must not stop the next start."""

from msgspec import structs

from engine.events import Record, SessionOpened
from engine.params import Limits, Params


def as_known(record: Record) -> Record:
    """Return a record of another version without the limits and parameters that this one does not know."""
    event = record.event
    if not isinstance(event, SessionOpened):
        return record
    limits = {name: value for name, value in event.limits.items() if name in Limits._fields}
    params = {name: value for name, value in event.params.items() if name in Params._fields}
    return Record(record.seq, structs.replace(event, limits=limits, params=params))
