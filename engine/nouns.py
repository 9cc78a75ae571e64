"""Numbers with their nouns: one row, two rows."""


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun.

    Args:
        number: Of things.
        one: The noun of a single one.
        many: Of any other number; empty: ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
