"""The proof: play a session's events through today's core, and compare every decision with the recorded one.

The chain of blocks is checked on the way, so that a session edited by hand is told from a core that decides
otherwise; raw frames are read again. Nothing is written, and a running engine is not held up. What it does
not know: whether a decision was good.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from engine import __version__
from engine.core.decide import Decision
from engine.core.explain import gate_rows
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.decoded import UNDECODABLE, reason_of
from engine.errors import JournalError
from engine.journal import encode_output, read_meta
from engine.journal_blocks import Block, Chain, Output, outputs_in
from engine.journal_read import opened, read_blocks, records_in, tag_of
from engine.run.decision_view import row_of
from engine.run.journal_pages import Placed, records_to
from engine.run.verify.raw import AGREES, NO_FRAMES, raw_verdict
from engine.snapshot import GateView

WHOLE: Final = "whole"
_CORE_FAILS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the core may raise over events that no engine recorded."""

_NESTED: Final = ("engine_halted", "order_denied")
"""Events that the engine may record before it has recorded all outputs of the record that led to them."""
_NESTED_MOST: Final = 10

_decoders: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    "Decision": msgspec.msgpack.Decoder(Decision),
    "OrderIntent": msgspec.msgpack.Decoder(OrderIntent),
}

Say = Callable[[int], None]


class Seen(msgspec.Struct, frozen=True):
    """One side's view of an output: what kind it is, its fields; of a decision also the gates that refused.

    ``gates`` is there for the replayed side alone: a journal keeps which gates refused, not their values.
    """

    kind: str
    fields: dict[str, Any]
    refused: tuple[str, ...] = ()
    gates: tuple[GateView, ...] = ()


class Divergence(msgspec.Struct, frozen=True):
    """The first output that differs. A side is None where it has no output at that place."""

    seq: int
    place: int
    recorded: Seen | None
    replayed: Seen | None
    note: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What a proof came to. The field names are an interface (docs/commands.md).

    ``decisions`` counts decisions and order intents, ``same`` those that came out the same byte for byte;
    ``digest`` is the SHA-256 of all replayed ones.
    """

    session: str
    events: int
    decisions: int
    same: int
    identical: bool
    digest: str
    first_divergence: Divergence | None
    chain: str
    raw: str
    status: str
    version: str = __version__
    at_ms: int = 0

    @property
    def raw_agrees(self) -> bool:
        """Whether the raw frames, as far as there are some, gave the recorded events."""
        return self.raw.startswith((AGREES, NO_FRAMES))

    @property
    def holds(self) -> bool:
        """Whether everything that was looked at agrees."""
        return self.identical and self.chain == WHOLE and self.raw_agrees

    @property
    def words(self) -> str:
        """The outcome in one line."""
        count = f"{self.same:,}/{self.decisions:,}"
        said = [f"identical {count}" if self.identical else f"NOT identical: {count} came out the same"]
        if self.chain != WHOLE:
            said.append(self.chain)
        if not self.raw_agrees:
            said.append(f"raw frames: {self.raw}")
        return "; ".join(said)


def verify(path: Path, say: Say = lambda _: None) -> Verdict:
    """Prove a session, as far as it is committed.

    Args:
        path: The session's journal; also one that is being written.
        say: Called with the number of the newest event, after each block.
    Raises:
        JournalError: There is no such session, or it is of another format.
    """
    with opened(path):
        meta = read_meta(path)
    proof = _Proof(path, meta)
    proof.run(say)
    first = None if proof.first is None else _divergence(path, proof)
    return Verdict(
        session=path.stem,
        events=proof.events,
        decisions=proof.decisions,
        same=proof.same,
        identical=proof.first is None and not proof.failed and proof.chain == WHOLE,
        digest=proof.digest.hexdigest(),
        first_divergence=first or (Divergence(*proof.at, None, None, proof.failed) if proof.failed else None),
        chain=proof.chain,
        raw=_raw(path),
        status=meta.get("status", "unknown"),
    )


def _raw(path: Path) -> str:
    try:
        return raw_verdict(path)
    except JournalError as error:
        return f"cannot be read: {error}"


class _Proof:
    """A replay under way. ``first`` is the lowest (seq, place) at which the two sides differ."""

    def __init__(self, path: Path, meta: dict[str, str]) -> None:
        self.first: tuple[int, int] | None = None
        self.recorded: dict[tuple[int, int], Output] = {}
        self.events = self.decisions = self.same = 0
        self.failed = ""
        self.at = (0, 0)
        self.chain = WHOLE
        self.digest = sha256()
        self._path = path
        self._meta = meta
        # A recorder alone decides nothing: its replay has no other side.
        self._compares = meta.get("mode") != "record"
        self._state = State()
        self._waiting: dict[tuple[int, int], bytes] = {}
        self._chain = Chain(meta)
        self._seq = 0
        self._tail: list[tuple[int, str]] = []

    def run(self, say: Say) -> None:
        """Play all that is there, up to a block that is not what was written."""
        try:
            for block in read_blocks(self._path):
                fault = self._chain.fault_in(block)
                if fault:
                    self.chain = fault
                    break
                self._play(block)
                if self.failed:
                    break
                if self._compares:
                    self._compare(outputs_in(block))
                say(self._seq)
        except JournalError as error:
            self.chain = f"readable up to record {self._seq:,}: {error}"
        if self.chain == WHOLE and not self.failed:
            self._look_at_the_end()

    def _play(self, block: Block) -> None:
        state, waiting, digest = self._state, self._waiting, self.digest
        records = records_in(self._path, block)
        for record in records:
            try:
                effects = step(state, record)
            except _CORE_FAILS as error:
                self.failed = (
                    f"the core cannot take record {record.seq:,} in: {type(error).__name__}: {error}"
                )
                self.at = (record.seq, 0)
                return
            for place, effect in enumerate(effects):
                body = encode_output(effect)
                digest.update(body)
                waiting[record.seq, place] = body
        self.events += len(records)
        self._seq = block.last_seq
        if not self._compares:
            waiting.clear()
        self._tail = [(one.seq, tag_of(one.event)) for one in records[-_NESTED_MOST:]] or self._tail

    def _compare(self, outputs: list[Output]) -> None:
        for output in outputs:
            self.decisions += 1
            key = (output.seq, output.place)
            if self._waiting.pop(key, None) == output.body:
                self.same += 1
            else:
                self._differs(key, output)

    def _differs(self, key: tuple[int, int], output: Output | None) -> None:
        if self.first is None or key < self.first:
            self.first = key
            if output is not None:
                self.recorded[key] = output

    def _look_at_the_end(self) -> None:
        """See what is missing: outputs that were never recorded, and an end that was cut off."""
        ended = self._meta.get("status") in ("ended", "crashed")
        for key in self._waiting:
            if ended or not self._is_lost(key[0]):
                self._differs(key, None)
        if ended:
            self.chain = self._chain.fault_at_end(self._meta) or WHOLE

    def _is_lost(self, seq: int) -> bool:
        """Say whether a crash explains a missing output: its record was the last, but for what it led to."""
        return (
            self._tail != []
            and all(kind in _NESTED for later, kind in self._tail if later > seq)
            and seq >= self._tail[0][0]
        )


def _divergence(path: Path, proof: _Proof) -> Divergence:
    """Play the session again up to the record that differs, and show both sides."""
    assert proof.first is not None
    seq, place = proof.first
    output = proof.recorded.get(proof.first)
    try:
        recorded = None if output is None else _decoders[output.kind].decode(output.body)
    except UNDECODABLE as error:
        return Divergence(seq, place, None, None, f"the recorded one cannot be read: {reason_of(error)}")
    state = State()
    effects: Any = ()
    for record in records_to(path, seq):
        effects = step(state, record)
    replayed = effects[place] if place < len(effects) else None
    return Divergence(
        seq,
        place,
        None if recorded is None else _seen(seq, place, recorded),
        None if replayed is None else _seen(seq, place, replayed, _gates(state, replayed)),
    )


def _gates(state: State, effect: Effect) -> tuple[GateView, ...]:
    markets = [*state.markets.values(), *state.past]
    market = next((one for one in markets if one.contract.slug == effect.slug), None)
    return () if market is None else tuple(gate_rows(state, market))


def _seen(seq: int, place: int, effect: Effect, gates: tuple[GateView, ...] = ()) -> Seen:
    fields = {name: msgspec.to_builtins(getattr(effect, name)) for name in effect.__struct_fields__}
    refused = row_of(Placed(seq, place, effect)).refused if isinstance(effect, Decision) else ()
    return Seen(type(effect).__name__, fields, refused, gates)
