import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" \t\r\n\0\u00a0", ()),
        ("?!... \u2014 \u00ab\u00bb", ()),
        ("Not  BAD,\nat all!", ("not", "bad", "at", "all")),
        ("don't stop", ("don", "t", "stop")),
        ("\ufb01ne \uff26\uff29\uff2e\uff25 Fi\u200bne", ("fine", "fine", "fine")),
        ("Stra\u00dfe STRASSE", ("strasse", "strasse")),
        ("\u00e9t\u00e9 e\u0301te\u0301", ("\u00e9t\u00e9", "\u00e9t\u00e9")),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u091f\u0947\u0915\u094d\u0938\u094d\u091f",) * 2,
        ("\U0001f600", ("\U0001f600",)),
        ("\u6211\u5f88\u9ad8\u5174", ("\u6211", "\u5f88", "\u9ad8", "\u5174")),
        ("\ud800 \ue000", ("\ud800", "\ue000")),
    ],
)
def test_the_words_by_hand(text, expected):
    if expected == text:  # a script whose vowel signs are marks: they cut no word
        expected = tuple(text.split())
    assert words(text) == expected


def test_only_the_first_64_words_count():
    assert words("word " * 100_000) == ("word",) * 64


@given(st.text())
def test_what_looks_the_same_has_the_same_words(text):
    expected = words(text)
    assert words(f" \u200b{unicodedata.normalize('NFKC', text)}\u2060. \n") == expected
    assert words(" ".join(expected)) == expected
    assert all(word and not word.isspace() for word in expected)
