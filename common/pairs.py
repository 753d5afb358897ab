"""Two texts in one string: a premise and a hypothesis, a question and an answer.

A pair is its first text, the control character U+001F ("unit separator", which no keyboard
types) and its second text. It is an ordinary string to shards, the transfer set, hashes and
gates; only the encoders look inside: ``sentence`` gives both parts to the language model as
its two segments, ``hashing`` keeps the words of the second part apart from those of the first.

A text behind its context is a pair with the character twice between the two. Where it is too
long for a model, the context loses its start, and the text itself stays whole.
"""

from typing import Final

SEPARATOR: Final = "\x1f"


def joined(first: str, second: str) -> str:
    """One string of two texts; separators inside them become blanks."""
    return single(first) + SEPARATOR + single(second)


def behind(context: str, text: str) -> str:
    """A pair of a context, the oldest first, and a text that is not to be cut for it."""
    return single(context) + SEPARATOR + SEPARATOR + single(text)


def is_window(text: str) -> bool:
    """Whether :func:`behind` made it."""
    return SEPARATOR + SEPARATOR in text


def single(text: str) -> str:
    """A text that is no pair: separators inside it become blanks."""
    return text.replace(SEPARATOR, " ")


def parted(text: str) -> tuple[str, str | None]:
    """The two texts of a pair; (text, None) where it is none."""
    first, separator, second = text.partition(SEPARATOR)
    return first, second.removeprefix(SEPARATOR) if separator else None
