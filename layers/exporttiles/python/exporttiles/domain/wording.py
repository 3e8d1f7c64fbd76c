"""Numbers of things in messages."""


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a number and its noun: "1 tile", "1,024 tiles"."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"
