"""Passages copied from the training text: against brute force, with guarantees, and quickly."""

from __future__ import annotations

import random
import time

import pytest
import torch

from creative.engines.char_rnn.copying import Passage, Search, find_copied, fingerprints, read_fingerprints


def words(count: int, seed: int = 0, letters: str = "abcdefghijklmnop ") -> str:
    return "".join(random.Random(seed).choices(letters, k=count))


def longest_by_hand(text: str, training: str, at_least: int) -> list[tuple[int, int]]:
    """Every match that is within no other, by trying them all."""
    ends = [
        max((end for end in range(start, len(text) + 1) if text[start:end] in training), default=start)
        for start in range(len(text))
    ]
    return [
        (start, end)
        for start, end in enumerate(ends)
        if end - start >= at_least and (start == 0 or ends[start - 1] < end)
    ]


@pytest.mark.parametrize("letters", ["ab", "abc", "a", "éß𝄞 "])
@pytest.mark.parametrize("seed", range(5))
def test_the_longest_matches_are_those_of_brute_force(letters: str, seed: int) -> None:
    text, training = words(60, seed, letters), words(90, seed + 100, letters)
    for at_least in (1, 3, 5, 8):
        copied = find_copied(text, training, at_least=at_least)
        assert [(one.start, one.end) for one in copied.passages] == longest_by_hand(text, training, at_least)
        for one in copied.passages:
            assert one.source is not None
            assert training[one.source : one.source + len(one)] == text[one.start : one.end]


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_the_training_text_may_come_in_parts(size: int) -> None:
    training = words(500, 1, "abcd")
    text = "zzz" + training[100:160] + "zz" + training[30:90]
    parts = [training[start : start + size] for start in range(0, len(training), size)]
    assert find_copied(text, parts, at_least=12) == find_copied(text, training, at_least=12)


def test_what_overlaps_is_counted_once() -> None:
    copied = find_copied("abcdefgh--", "abcdef..cdefgh", at_least=4)
    assert [(one.start, one.end) for one in copied.passages] == [(0, 6), (2, 8)]
    assert copied.share == pytest.approx(0.8)
    assert copied.longest == Passage(0, 6, 0)
    assert find_copied("", "abc").share == 0
    assert find_copied("abc", "").passages == ()


@pytest.mark.parametrize("window", [8, 13, 32])
def test_every_copied_run_is_found_from_the_promised_length_on(window: int) -> None:
    training = words(20_000, 2)
    stored = fingerprints(training, window=window, max_bytes=3000)
    assert stored.dtype == torch.uint8
    assert len(stored) <= 3000
    prints = read_fingerprints(stored)
    assert prints.at_least < 60 + window
    rng = random.Random(3)
    for _ in range(300):
        length = rng.randrange(prints.at_least, 3 * prints.at_least)
        start = rng.randrange(len(training) - length)
        text = words(50, rng.random()) + training[start : start + length] + words(50, rng.random())
        found = [one for one in prints.find(text).passages if 50 - window < one.start < 50 + length]
        assert found
        assert min(one.start for one in found) - 50 < prints.grid
        assert 50 + length - max(one.end for one in found) < prints.grid
        assert max(map(len, found)) >= length - 2 * prints.grid + 2  # one passage, not one for each window


def test_nothing_is_found_where_nothing_was_copied() -> None:
    prints = read_fingerprints(fingerprints(words(100_000, 4)))
    false = sum(len(prints.find(words(10_000, seed)).passages) for seed in range(5, 45))
    assert false <= 20  # 400,000 windows, 1 in 65,536 each: 6 are to be expected


def test_fingerprints_repeat_and_fit_whatever_the_text() -> None:
    for text in ["", "short", "a" * 50_000, words(300_000, 6)]:
        stored = fingerprints(text, max_bytes=20_000)
        assert torch.equal(stored, fingerprints(text, max_bytes=20_000))
        assert len(stored) <= 20_000
        assert read_fingerprints(stored).characters == len(text)
    assert read_fingerprints(fingerprints("a" * 50_000, max_bytes=20_000)).find("a" * 40).share == 1


def test_damaged_fingerprints_are_told() -> None:
    stored = fingerprints(words(10_000, 7))
    for wrong in [stored[:10], stored[:-1], torch.zeros(100, dtype=torch.uint8), stored.float()]:
        with pytest.raises(ValueError, match="fingerprints"):
            read_fingerprints(wrong)
    flipped = stored.clone()
    flipped[-20] ^= 255
    with pytest.raises(ValueError, match="do not add up"):
        read_fingerprints(flipped)


def test_a_megabyte_takes_seconds() -> None:
    training = words(1_000_000, 8)
    text = training[5000:105_000]
    began = time.process_time()
    assert find_copied(text, training).share == 1
    read_fingerprints(fingerprints(training)).find(text)
    assert time.process_time() - began < 10
    search = Search("a" * 2000)  # each of a million places is a candidate
    search.add("a" * 1_000_000)
    assert search.result().longest == Passage(0, 2000, 0)
    assert time.process_time() - began < 30
