import json
from importlib.resources import files
from typing import get_args, get_type_hints

import pytest

import common.blanks
from common.blanks import _checked, blanks, blanks_sha256
from common.failures import ConfigError, DataError

NAMES = get_args(get_type_hints(blanks)["name"])


def stored(name):
    return (files(common.blanks) / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_fixed_and_distinct(name):
    texts = blanks(name)
    assert isinstance(texts, tuple)
    assert all(isinstance(text, str) for text in texts)
    assert len(set(texts)) == len(texts) >= 100
    assert len(stored(name)) < 100_000
    assert blanks_sha256(name) == blanks_sha256(name)
    assert len(blanks_sha256(name)) == 64


def test_content_free_texts_are_short_and_include_the_known_ones():
    texts = blanks("content_free")
    assert {"", "N/A", "[MASK]", ".", "the"} <= set(texts)
    assert max(map(len, texts)) < 80


def test_random_texts_are_12_to_20_whole_words_of_a_wide_vocabulary():
    texts = blanks("random_tokens")
    words = [text.split(" ") for text in texts]
    assert len(texts) == 400
    assert {len(row) for row in words} == set(range(12, 21))
    assert all(word.isalpha() and word.islower() for row in words for word in row)
    assert len({word for row in words for word in row}) > 5000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda texts: [*texts, "one more"],
        lambda texts: texts[1:],
        lambda texts: texts[::-1],
        lambda texts: [*texts[:-1], texts[-1] + " "],
        lambda texts: [],
    ],
)
def test_any_other_list_is_refused(name, damage):
    data = json.dumps(damage(list(blanks(name)))).encode()
    with pytest.raises(DataError, match=name):
        _checked(name, data, blanks_sha256(name))


def test_half_a_file_is_refused():
    with pytest.raises(DataError, match="damaged"):
        _checked("content_free", stored("content_free")[:50], blanks_sha256("content_free"))


def test_line_ends_do_not_matter():
    data = stored("content_free").replace(b"\n", b"\r\n")
    assert _checked("content_free", data, blanks_sha256("content_free")) == blanks("content_free")


def test_unknown_lists_are_named():
    with pytest.raises(ConfigError, match="content_free, random_tokens"):
        blanks("mine")
