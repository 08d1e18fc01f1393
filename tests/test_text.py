"""Texts as numbers: what goes in comes out, wherever pieces are cut; what cannot be read is named with its place."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from creative.data import text as text_module
from creative.data.draws import Draw
from creative.data.text import (
    PackedText,
    Streams,
    TextError,
    Vocabulary,
    VocabularyError,
    find_texts,
    pack_text,
    read_codes,
)
from creative.data.vocabulary import named
from creative.progress import Step, run

ROOT = Path(__file__).resolve().parent.parent
POEM = "Der Mond ist aufgegangen,\ndie goldnen Sternlein prangen – 月が昇る 🌙\n"


def packed(folder: Path, *paths: Path, **options: object) -> PackedText:
    return run(pack_text(paths, folder / "cache", **options))  # type: ignore[arg-type]


def written(folder: Path, content: bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# Vocabularies


def test_a_vocabulary_takes_and_gives_any_text() -> None:
    vocabulary = Vocabulary.of(POEM)
    assert list(vocabulary.characters or "") == sorted(set(POEM))
    ids = vocabulary.encode(POEM)
    assert ids.dtype == torch.int64
    assert int(ids.max()) == len(vocabulary) - 1
    assert vocabulary.decode(ids) == POEM
    assert vocabulary.decode(ids.tolist()) == POEM
    assert len(vocabulary.encode("")) == 0
    assert vocabulary.decode([]) == ""
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_bytes_know_every_text() -> None:
    vocabulary = Vocabulary.of_bytes()
    assert len(vocabulary) == 256
    assert vocabulary.encode("aé").tolist() == [97, 0xC3, 0xA9]
    assert vocabulary.decode(vocabulary.encode(POEM)) == POEM
    assert vocabulary.decode([97, 0xC3]) == "a\ufffd"
    assert vocabulary.unseen(POEM) == []
    assert vocabulary.grow(POEM) is vocabulary
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_unseen_characters_are_named() -> None:
    vocabulary = Vocabulary.of("abc \n")
    assert vocabulary.unseen("cab éé a\u200b") == ["é", "\u200b"]
    with pytest.raises(VocabularyError, match=r"no 'é', U\+200B"):
        vocabulary.encode("é\u200b")
    assert named("abcdefgh\n", most=2) == "'a', 'b' and 7 more"
    assert named(" \n") == "U+0020, U+000A"


def test_growing_keeps_the_numbers_there_were() -> None:
    small = Vocabulary.of("cab")
    large = small.grow("zebra")
    assert large.characters == "abcerz"
    assert large.encode("cab").tolist() == small.encode("cab").tolist()
    assert small.grow("abba") == small


@pytest.mark.parametrize(
    "values", [{}, {"units": "words"}, {"units": "characters"}, {"units": "characters", "characters": 3}]
)
def test_no_vocabulary_in_a_file(values: dict[str, object]) -> None:
    with pytest.raises(VocabularyError, match="no vocabulary"):
        Vocabulary.from_json(values)


def test_a_vocabulary_has_each_character_once() -> None:
    with pytest.raises(VocabularyError, match="once"):
        Vocabulary("aba")


# Packing


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 22])
@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("utf-8", POEM.encode()),
        ("utf-8", b"\xef\xbb\xbf" + POEM.replace("\n", "\r\n").encode()),
        ("utf-16", POEM.replace("\n", "\r").encode("utf-16")),
        ("utf-16", b"\xfe\xff" + POEM.encode("utf-16-be")),
    ],
)
def test_any_cut_gives_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, stored: bytes, chunk: int
) -> None:
    monkeypatch.setattr(text_module, "_CHUNK", chunk)
    found = packed(tmp_path, written(tmp_path, stored), encoding=encoding)
    assert found.text(0, len(found)) == POEM
    assert found.vocabulary == Vocabulary.of(POEM)
    assert found.text(4, 8) == "Mond"
    assert found[0:1].dtype == np.uint8


def test_latin_1_and_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, "Größe\r\n".encode("latin-1"))
    latin = packed(tmp_path, path, encoding="latin-1")
    assert latin.text(0, len(latin)) == "Größe\n"
    raw = packed(tmp_path, path, units="bytes")
    assert raw.ids(0, len(raw)).tolist() == list("Größe\r\n".encode("latin-1"))
    assert len(raw.vocabulary) == 256


def test_many_characters_take_two_bytes_each(tmp_path: Path) -> None:
    every = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    found = packed(tmp_path, written(tmp_path, every.encode()))
    assert found[0:300].dtype == np.uint16
    assert found.text(0, 300) == every


def test_packed_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, b"first text")
    first = packed(tmp_path, path)
    with monkeypatch.context() as patched:
        patched.setattr(text_module, "read_codes", lambda *args, **options: pytest.fail("read again"))
        again = packed(tmp_path, path)
    assert (again.path, again.sha256, again.vocabulary) == (first.path, first.sha256, first.vocabulary)
    written(tmp_path, b"other text")
    assert packed(tmp_path, path).text(0, 10) == "other text"
    assert not list((tmp_path / "cache").glob("*.part"))


def test_worker_processes_map_the_file_for_themselves(tmp_path: Path) -> None:
    found = packed(tmp_path, written(tmp_path, b"x" * 100_000))
    found.ids(0, 1)
    copy = pickle.dumps(found)
    assert len(copy) < 2000
    assert pickle.loads(copy).text(99_998, 100_000) == "xx"


def test_folders_are_read_in_order_and_joined_by_lines(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    written(folder, b"two\n", "b/2.txt")
    written(folder, b"one", "a.txt")
    written(folder, b"", "b/empty.txt")
    written(folder, b"not this", ".git/config")
    written(folder, b"three", "c.md")
    found = packed(tmp_path, folder)
    assert found.text(0, len(found)) == "one\ntwo\nthree"
    assert (found.num_files, found.skipped) == (3, [])
    assert packed(tmp_path, folder / "a.txt", folder).num_files == 3  # named and in a folder is once


def test_an_unreadable_file_among_many_is_skipped_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    for number in range(20):
        written(folder, b"some text\n", f"{number:02}.txt")
    written(folder, b"caf\xe9", "07-latin.txt")
    written(folder, b"\x89PNG\0\0", "photo.png")
    steps: list[Step] = []
    found = run(pack_text([folder], tmp_path / "cache"), steps.append)
    assert found.num_files == 20
    assert [path.name for path, _ in found.skipped] == ["07-latin.txt", "photo.png"]
    told = [step.message for step in steps if step.message]
    assert any("07-latin.txt is not UTF-8" in message for message in told)
    assert "20 files; skipped 2 that cannot be read, 07-latin.txt first" in told[-1]
    again = packed(tmp_path, folder)  # from the cache
    assert [path.name for path, _ in again.skipped] == ["07-latin.txt", "photo.png"]


def test_a_disk_that_will_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "texts"
    written(folder, b"good", "a.txt")
    bad = written(folder, b"bad", "b.txt")
    open_file = Path.open

    def failing(self: Path, *args: object, **options: object) -> object:
        if self == bad:
            raise PermissionError(13, "Permission denied")
        return open_file(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    assert "b.txt cannot be read: Permission denied" in packed(tmp_path, folder).skipped[0][1]
    with pytest.raises(TextError, match=r"b\.txt cannot be read: Permission denied"):
        packed(tmp_path, bad)


def test_a_vocabulary_to_begin_with(tmp_path: Path) -> None:
    found = packed(tmp_path, written(tmp_path, b"banana"), vocabulary=Vocabulary.of("nz"))
    assert found.vocabulary.characters == "nzab"
    assert found.ids(0, 6).tolist() == [3, 2, 0, 2, 0, 2]


# What cannot be read


@pytest.mark.parametrize("chunk", [5, 1 << 22])
@pytest.mark.parametrize(
    ("stored", "encoding", "words"),
    [
        (b"abcdefghij caf\xe9 noir", "utf-8", r"not UTF-8: the byte 0xE9 at offset 14 does not belong"),
        (b"0123456789\xc3", "utf-8", r"not UTF-8: it ends within a character, at offset 10"),
        (b"\xef\xbb\xbfab\r\n\xff", "utf-8", r"0xFF at offset 7 "),
        ("abc".encode("utf-16"), "utf-8", r"begins as UTF-16 does"),
        (b"plain", "utf-16", r"no byte order mark"),
        (b"PK\x03\x04 \0\0", "utf-8", r"binary, not a text: there is a zero byte at offset 5"),
        (b"0123456789\0", "latin-1", r"zero byte at offset 10"),
        (b"0123456789\x81", "windows-1252", r"not WINDOWS-1252: the byte 0x81 at offset 10"),
    ],
)
def test_wrong_encodings_and_binary_files_are_named_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bytes, encoding: str, words: str, chunk: int
) -> None:
    monkeypatch.setattr(text_module, "_CHUNK", chunk)
    path = written(tmp_path, stored)
    with pytest.raises(TextError, match=words) as error:
        packed(tmp_path, path, encoding=encoding)
    assert "text.txt" in str(error.value)
    assert not (tmp_path / "cache").exists()
    assert len(packed(tmp_path, path, units="bytes")) == len(stored)  # as bytes anything goes


def test_paths_that_give_nothing_to_read(tmp_path: Path) -> None:
    empty = written(tmp_path, b"", "empty.txt")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, words in ((tmp_path / "no.txt", "no file"), (empty, "is empty"), (folder, "no files in")):
        with pytest.raises(TextError, match=words):
            pack_text([path], tmp_path)  # at the call, before any work
    with pytest.raises(TextError, match="No text"):
        find_texts([])
    written(folder, b"\0", "a.bin")
    with pytest.raises(TextError, match=r"None of a file has .*a\.bin is binary"):
        packed(tmp_path, folder)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"a" * 1000)
    engine = pack_text([path], tmp_path / "cache")
    next(engine)
    next(engine)
    path.write_bytes(b"a" * 500)
    with pytest.raises(TextError, match="changed while it was read"):
        run(engine)
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, b"a" * 1000)
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(TextError, match="Could not write"):
        packed(tmp_path, path)


def test_a_gigabyte_is_never_in_memory(tmp_path: Path) -> None:
    """A sparse file: a few words, and a gigabyte further a few more. Read as bytes, and begun to be packed."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.write(b"beginning")
        file.seek(1 << 30)
        file.write(b"end")
    code = f"""
import resource
from pathlib import Path
from creative.data.text import PackedText, Streams, Vocabulary, TextError, pack_text, read_codes
from creative.data.draws import Draw
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
path = Path({str(path)!r})
packed = PackedText(path, Vocabulary.of_bytes(), path.stat().st_size, "")
streams = Streams(packed, range(len(packed)), 128)
assert bytes(streams[Draw(0, 1)]["ids"].tolist()).startswith(b"beginning")
assert bytes(streams[Draw(1 << 30, 1)]["ids"].tolist()).startswith(b"endbeginning")
total = sum(len(codes) for place, codes in zip(range(40), read_codes(path, units="bytes")))
assert total == 40 << 22
engine = pack_text([path], Path({str(tmp_path / "cache")!r}), units="bytes")
for _ in range(30):
    next(engine)
engine.close()
try:
    list(read_codes(path))
except TextError as error:
    assert "zero byte at offset 9" in str(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150, f"{done.stdout} MB for a file of 1074"


# Streams


def test_streams_are_pieces_of_the_text_in_a_ring(tmp_path: Path) -> None:
    found = packed(tmp_path, written(tmp_path, b"0123456789abcdef"))
    streams = Streams(found, range(2, 12), length=4)

    def at(place: int) -> str:
        return found.vocabulary.decode(streams[Draw(place, 0)]["ids"])

    assert len(streams) == 10
    assert [at(0), at(5), at(7), at(9)] == ["23456", "789ab", "9ab23", "b2345"]
    long = Streams(found, range(2, 12), length=25)[Draw(9, 0)]["ids"]
    assert found.vocabulary.decode(long) == "b" + "23456789ab" * 2 + "23456"


def test_forgetting_is_a_matter_of_the_draw(tmp_path: Path) -> None:
    found = packed(tmp_path, written(tmp_path, b"0123456789abcdef"))
    streams = Streams(found, range(16), length=4, forget=0.25)
    kept = [float(streams[Draw(0, seed)]["keep"]) for seed in range(400)]
    assert set(kept) == {0.0, 1.0}
    assert 0.68 < sum(kept) / 400 < 0.82
    assert kept[7] == float(streams[Draw(3, 7)]["keep"])
    assert all(float(Streams(found, range(16), 4)[Draw(0, seed)]["keep"]) for seed in range(20))


def test_reading_gives_code_points_in_pieces(tmp_path: Path) -> None:
    pieces = list(read_codes(written(tmp_path, "a🌙".encode())))
    assert [piece.tolist() for piece in pieces] == [[ord("a"), ord("🌙")]]
