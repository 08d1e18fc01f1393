"""Measures of captions: the numbers are those that pycocoevalcap gives, and CIDEr those of the authors' own code."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from pathlib import Path

import pytest

from creative.caption_metrics import (
    Cider,
    Frequencies,
    agreement,
    bleu,
    caption_scores,
    cider_d,
    distinct_share,
    rouge_l,
)

REFERENCES = {
    "harbour": [
        "a small boat lies in the harbour",
        "there is a boat in the water",
        "a white boat beside a wooden pier",
    ],
    "field": ["a brown dog runs across a field", "the dog is running over the grass", "a dog in a green field"],
    "kitchen": [
        "a man cooks in a kitchen",
        "a cook is standing at the stove",
        "someone 's making dinner in the kitchen",
        "a kitchen with a man in it",
    ],
    "street": ["two buses and a car wait at a crossing", "there are two buses on the street"],
    "tower": [
        "a clock tower in front of a blue sky",
        "the tower has a clock on it",
        "a tower of red brick with a clock",
        "there is a clock at the top of the tower",
        "a tall tower and a clear blue sky",
    ],
    "portrait": ["a woman"],
    "beach": [
        "people walk along the beach at sunset",
        "a beach with people in the evening , some of them are swimming and some of them are walking",
    ],
}
CANDIDATES = {
    "harbour": "a white boat lies in the water",
    "field": "a dog runs over the green grass",
    "kitchen": "a man is standing in a kitchen",
    "street": "two two two buses buses on the the street",
    "tower": "a clock tower in front of a blue sky",
    "portrait": "an old gentleman",
    "beach": "people",
}
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d", "cider")
# From pycocoevalcap 1.2 (bleu, rouge, and cider, which is CIDEr-D) and the plain scorer of github.com/vrama91/cider.
ALL = (
    *(0.7453061189702282, 0.6787915356836577, 0.5622530998700345, 0.46349574744147815),
    *(0.5607707201444551, 1.7473544003555472, 1.970264792830399),
)
ONE_EMPTY = (
    *(0.5934640354951849, 0.566235859885894, 0.49708691428205865, 0.4218577054051623),
    *(0.47913806708323053, 1.49789507219976, 1.7196432058224407),
)
FORTY_TIMES = (
    *(0.02267441860463798, 0.01819111849900828, 0.013611136115993397, 0.010095944351986484),
    *(0.038135729976963496, 2.319691642167838e-06, 1.8889509915518512),
)
SOME = {
    ("tower",): (
        *(0.9999999997777782, 0.9999999997708338, 0.9999999997625665, 0.9999999997524806),
        *(1.0, 0.0, 0.0),
    ),
    ("street", "field"): (
        *(0.7499999999062502, 0.6123724356165143, 0.3149802624312212, 4.204482075672314e-05),
        *(0.6054207846660677, 1.6607368748116076, 2.0823714143380005),
    ),
    ("portrait", "beach"): (
        *(0.07162619917923453, 3.2032210062937567e-09, 1.4325239831071835e-11, 1.703567713371535e-10),
        *(0.11010830324909747, 0.14464105914285497, 0.358800380092132),
    ),
}
CIDER_D_OF_EACH = {
    "harbour": 3.100360076479492,
    "field": 1.746215297090512,
    "kitchen": 2.016983268163153,
    "street": 1.7727606205685196,
    "tower": 3.2557801671401116,
    "portrait": 0.0,
    "beach": 0.33938137304704297,
}


def check(candidates: dict[str, str], expected: tuple[float, ...]) -> None:
    scores = caption_scores(candidates, REFERENCES)
    for name, value in zip(NAMES, expected, strict=True):
        assert scores[name] == pytest.approx(value, abs=1e-9), name


def test_all_numbers_are_pycocoevalcaps() -> None:
    check(CANDIDATES, ALL)
    for keys, expected in SOME.items():
        check({key: CANDIDATES[key] for key in keys}, expected)


def test_no_words_and_very_many() -> None:
    check({**CANDIDATES, "field": ""}, ONE_EMPTY)
    check({key: " ".join([sentence] * 40) for key, sentence in CANDIDATES.items()}, FORTY_TIMES)


def test_cider_d_of_each_picture() -> None:
    reward = Cider(REFERENCES)
    for key, sentence in CANDIDATES.items():
        assert reward.score(key, sentence) == pytest.approx(CIDER_D_OF_EACH[key], abs=1e-9)


def cider_by_hand(sentence: str, references: list[str], corpus: dict[str, list[str]], defended: bool) -> float:
    """Vedantam et al.'s formula, written down once more with vectors over every n-gram there is."""
    total = 0.0
    for n in range(1, 5):

        def grams(text: str, n: int = n) -> list[tuple[str, ...]]:
            words = text.split()
            return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

        space = sorted({g for t in [sentence, *itertools.chain(*corpus.values())] for g in grams(t)})
        seen = {g: sum(any(g in grams(t) for t in texts) for texts in corpus.values()) for g in space}

        def vector(text: str) -> list[float]:
            found = grams(text)
            return [found.count(g) * math.log(len(corpus) / max(1, seen[g])) for g in space]  # noqa: B023

        mine = vector(sentence)
        for reference in references:
            theirs = vector(reference)
            product = sum((min(a, b) if defended else a) * b for a, b in zip(mine, theirs, strict=True))
            norm = math.hypot(*mine) * math.hypot(*theirs)
            gap = len(sentence.split()) - len(reference.split())
            total += (product / norm if norm else 0) * (math.exp(-(gap**2) / 72) if defended else 1)
    return 10 * total / (4 * len(references))


@pytest.mark.parametrize("defended", [True, False])
def test_cider_is_the_papers_formula(defended: bool) -> None:
    measure = Cider(REFERENCES, defended=defended)
    dice = random.Random(1)
    words = sorted({word for texts in REFERENCES.values() for text in texts for word in text.split()} | {"unheard"})
    for key, references in REFERENCES.items():
        for _ in range(5):
            sentence = " ".join(dice.choice(words[:25]) for _ in range(dice.randint(1, 9)))
            sentence = dice.choice([sentence, f"{dice.choice(references)} {sentence}"])
            expected = cider_by_hand(sentence, references, REFERENCES, defended)
            assert measure.score(key, sentence) == pytest.approx(expected, abs=1e-9)


def test_frequencies_of_a_training_set_are_used_again() -> None:
    few = {key: REFERENCES[key] for key in ("harbour", "tower")}
    frequencies = Frequencies.of(REFERENCES)
    assert frequencies.pictures == 7
    assert frequencies.counts["a", "clock"] == 1
    assert frequencies.counts["a",] == 7
    reward = Cider(few, frequencies=frequencies)
    for key in few:
        assert reward.score(key, CANDIDATES[key]) == pytest.approx(CIDER_D_OF_EACH[key], abs=1e-9)
    candidates = {key: CANDIDATES[key] for key in few}
    mean = (CIDER_D_OF_EACH["harbour"] + CIDER_D_OF_EACH["tower"]) / 2
    assert cider_d(candidates, few, frequencies=frequencies) == pytest.approx(mean, abs=1e-9)
    assert cider_d(candidates, few) != pytest.approx(mean, abs=1e-3)


def test_the_longest_common_subsequence_against_all_subsequences() -> None:
    dice = random.Random(2)
    for _ in range(40):
        one, other = ([dice.choice("abc") for _ in range(dice.randint(1, 7))] for _ in "12")

        def subsequences(words: list[str]) -> set[tuple[str, ...]]:
            return {c for n in range(len(words) + 1) for c in itertools.combinations(words, n)}

        longest = max(map(len, subsequences(one) & subsequences(other)))
        precision, recall = longest / len(one), longest / len(other)
        expected = 2.44 * precision * recall / (recall + 1.44 * precision) if longest else 0
        assert rouge_l({1: " ".join(one)}, {1: [" ".join(other)]}) == pytest.approx(expected, abs=1e-12)


def test_limits() -> None:
    same = {key: sentences[0] for key, sentences in REFERENCES.items()}
    scores = caption_scores(same, {key: [sentence] for key, sentence in same.items()})
    assert scores["bleu_1"] == pytest.approx(1)
    assert scores["rouge_l"] == pytest.approx(1)
    assert scores["distinct"] == 1
    reward = Cider({key: [sentence] for key, sentence in same.items()})
    assert reward.score("tower", same["tower"]) == pytest.approx(10)
    assert reward.score("tower", "") == 0
    assert distinct_share(["a", "b", "a", "a"]) == 0.5
    assert distinct_share([]) == 0


def test_what_cannot_be_scored_is_told() -> None:
    with pytest.raises(ValueError, match="no sentences to score"):
        bleu({}, REFERENCES)
    with pytest.raises(ValueError, match="no list of references for 'moon'"):
        rouge_l({"moon": "a moon"}, REFERENCES)
    with pytest.raises(ValueError, match="no list of references for 'field'"):
        cider_d({"field": "a dog"}, {"field": "a dog"})  # a bare sentence would be taken for letters
    with pytest.raises(ValueError, match="of type list"):
        bleu({"field": ["a dog"]}, REFERENCES)
    with pytest.raises(ValueError, match="No picture has two sentences"):
        agreement({"portrait": ["a woman"]})


def test_people_agree_with_one_another_as_much_as_they_do() -> None:
    found = agreement({1: ["a red house", "a red house"], 2: ["a dog", "a cat"], 3: ["alone"]})
    by_hand = [
        caption_scores({1: "a red house", 2: "a dog"}, {1: ["a red house"], 2: ["a cat"]}),
        caption_scores({1: "a red house", 2: "a cat"}, {1: ["a red house"], 2: ["a dog"]}),
    ]
    for name, value in found.items():
        assert value == pytest.approx((by_hand[0][name] + by_hand[1][name]) / 2)


def test_peoples_sentences_about_aerial_photos(shared_data: Path) -> None:
    text = (shared_data / "aerial_captions" / "captions.json").read_text(encoding="utf-8")
    entries = [entry for entry in json.loads(text) if entry["split"] == "test"]
    ucm = [entry for entry in entries if re.match(r"(0\d|1\d|20)_", entry["file"])]
    for part, expected in ((entries, 0.523310757887524), (ucm, 0.7340380545373019)):
        candidates = {entry["file"]: entry["captions"][0] for entry in part}
        references = {entry["file"]: entry["captions"][1:] for entry in part}
        assert bleu(candidates, references)[3] == pytest.approx(expected, abs=1e-9)
