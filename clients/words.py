"""Texts as the words that count when two of them are compared."""

import sys
import unicodedata

MOST_WORDS = 64
_SCRIPTS_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


class _Rules(dict[int, str | None]):
    """What becomes of a character; each is looked up once."""

    def __missing__(self, code: int) -> str | None:
        made = self[code] = _rule(chr(code))
        return made


def words(text: str) -> tuple[str, ...]:
    """The first 64 words of a text; texts that look the same have the same words.

    Compatibility forms, case, punctuation, white space and invisible characters do not
    count. In scripts without spaces every character is a word.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_RULES)
    return tuple(map(sys.intern, plain.split(maxsplit=MOST_WORDS)[:MOST_WORDS]))


def _rule(char: str) -> str | None:
    category = unicodedata.category(char)
    if category == "Cf":  # zero-width characters would cut a word in two, unseen
        return None
    if category == "Cc" or category[0] in "PZ":
        return " "
    if unicodedata.name(char, "").startswith(_SCRIPTS_WITHOUT_SPACES):
        return f" {char} "
    return char


_RULES = _Rules()
