"""Blocks as bytes: what goes in comes out, and whatever is changed is found and named."""

from hypothesis import given
from hypothesis import strategies as st

from engine import events as e
from engine.core.decide import Decision
from engine.journal_blocks import FREQUENT, Block, Packer, beginning, events_in, fault_of, link, outputs_in
from tests.test_journal import SAMPLES, price

META = {"session": "s", "schema": "2"}


def records(count: int, first: int = 1) -> list[e.Record]:
    return [e.Record(first + at, [*SAMPLES, price(at)][at % 7]) for at in range(count)]


def decision(seq: int) -> Decision:
    return Decision(f"slug-{seq}", seq, seq * 7, seq % 3, seq % 5, seq / 3, None, 0.5, None)


def holds(blocks: list[Block]) -> bool:
    chain = beginning(META)
    for block in blocks:
        if link(chain, block) != block.chain:
            return False
        chain = block.chain
    return True


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 5))
def test_what_is_packed_is_unpacked_however_it_was_grouped(groups: list[int], every: int) -> None:
    """Every event with its number, every output with its place, in one chain."""
    packer, blocks, first = Packer(META), [], 1
    told, decided = [], []
    for size in groups:
        group = records(size, first)
        outputs = [(one.seq, 0, decision(one.seq)) for one in group if one.seq % every == 0]
        first += size
        told += group
        decided += outputs
        blocks += packer.pack([*group, *outputs])
    unpacked = [
        e.Record(seq, event)
        for block in blocks
        for seq, event in enumerate(events_in(block), block.first_seq)
    ]
    assert unpacked == told
    assert [(one.seq, one.place, one.kind) for block in blocks for one in outputs_in(block)] == [
        (seq, place, "Decision") for seq, place, _ in decided
    ]
    assert holds(blocks)
    assert [block.number for block in blocks] == list(range(1, len(groups) + 1))
    assert blocks[-1].outputs_so_far == len(decided)


@given(st.integers(2, 60), st.data())
def test_the_first_altered_record_is_found_by_its_checksum_alone(count: int, data: st.DataObject) -> None:
    """Also where the altered one is longer or shorter than it was, and whatever comes after."""
    told = records(count)
    (block,) = Packer(META).pack(told)
    at = data.draw(st.integers(0, count - 1))
    other = e.FrameRefused(ts_recv_ms=at, feed="clob", reason="edited", excerpt="x" * (at % 9))
    edited = [e.Record(one.seq, other if one.seq == at + 1 else one.event) for one in told]
    (forged,) = Packer(META).pack(edited)
    assert fault_of(block._replace(body=forged.body)) == f"record {at + 1:,} was altered"


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_of_a_block_can_change_unseen(at: int, flip: int) -> None:
    """The chain covers what is packed, the checksums and every column."""
    blocks = Packer(META).pack([*records(40), (3, 0, decision(3))])
    (block,) = blocks
    for name in ("body", "made", "checks"):
        old = getattr(block, name)
        place = at % len(old)
        new = old[:place] + bytes([old[place] ^ flip]) + old[place + 1 :]
        assert not holds([block._replace(**{name: new})])
    for name in block._fields[:10]:
        assert not holds([block._replace(**{name: getattr(block, name) + 1})])
    assert not holds([block._replace(kinds="")])


def test_blocks_begin_anew_where_numbers_jump() -> None:
    """A block has no hole: a reader counts on it."""
    blocks = Packer(META).pack([*records(3), *records(2, 10)])
    assert [(block.first_seq, block.last_seq) for block in blocks] == [(1, 3), (10, 11)]


def test_an_output_alone_is_a_block_too() -> None:
    """The writer may come between a record and its decision."""
    packer = Packer(META)
    packer.pack(records(3))
    (block,) = packer.pack([(3, 0, decision(3))])
    assert (block.first_seq, block.last_seq, block.events, block.out_from) == (4, 3, 0, 3)
    assert block.first_ms == block.last_ms == records(3)[-1].event.ts_recv_ms
    assert (events_in(block), len(outputs_in(block))) == ([], 1)


def test_rare_kinds_are_named_and_frequent_ones_are_not() -> None:
    """Readers look for the named ones by an index; a kind that is in every block would make it useless."""
    (block,) = Packer(META).pack(records(7))
    assert " order_filled " in block.kinds
    assert "price_printed" not in block.kinds
    tags = {str(kind.__struct_config__.tag) for kind in e.AnyEvent.__args__}
    assert FREQUENT - {"Decision"} <= tags, "a kind that was renamed"
