"""Texts as token ids, cut to what a model reads; shared by all that call a tokenizer."""

import re
from typing import Any, NamedTuple

from common.pairs import is_window, parted

_SURROGATES = re.compile("[\ud800-\udfff]")
# Far more characters than a token has: what lies beyond is cut before it costs time.
_CHARACTERS_PER_TOKEN = 40


class Row(NamedTuple):
    """A text as a model reads it: token ids, and 1 where they are of the second of a pair."""

    ids: list[int]
    segments: list[int]


def cut(backend: Any, text: str, max_tokens: int, pad: int) -> Row:
    """At most ``max_tokens`` token ids of any string, at least one.

    A text loses its end. Of a pair the longer text does, then both. A text behind its context
    (:func:`common.pairs.behind`) stays whole as long as it fits alone: the context loses its
    start, which is the oldest.

    Args:
        backend: a :class:`tokenizers.Tokenizer` that truncates to ``max_tokens``.
        text: any string.
        max_tokens: the special ones included.
        pad: what stands for a text without tokens.
    """
    most = max_tokens * _CHARACTERS_PER_TOKEN
    first, second = parted(text)
    if second is None:
        made = backend.encode(_readable(first[:most]))
    elif is_window(text):
        return _window(backend, first[-most:], second[:most], max_tokens)
    else:
        made = backend.encode(_readable(first[:most]), _readable(second[:most]))
    return Row(made.ids, made.type_ids) if made.ids else Row([pad], [0])


def _window(backend: Any, context: str, text: str, max_tokens: int) -> Row:
    backend.no_truncation()
    try:
        made = backend.encode(_readable(context), _readable(text))
    finally:
        backend.enable_truncation(max_tokens)
    excess = len(made.ids) - max_tokens
    of = made.sequence_ids  # None for special tokens, 0 in the context, 1 in the text
    places = {part: [i for i, one in enumerate(of) if one == part] for part in (0, 1)}
    oldest = places[0][: max(0, excess)]
    beyond = places[1][len(places[1]) - max(0, excess - len(oldest)) :]
    gone = {*oldest, *beyond}
    kept = [i for i in range(len(of)) if i not in gone]
    return Row([made.ids[i] for i in kept], [made.type_ids[i] for i in kept])


def _readable(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)
