"""The network that writes captions, and how sentences are found: held against searching through all of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from creative.data.words import END, START, UNKNOWN
from creative.device import random_generator
from creative.engines.captioning.decoding import Found, Rules, draw_sentences, looked_at, padded, search
from creative.models.caption_encoders import EncoderConfig, FeatureEncoder, OwnEncoder, make_encoder
from creative.models.captioner import Captioner, CaptionerConfig, CaptionerError, coordinates

WORDS = (3, 4, 5)
LONGEST = 3


def network(seed: int = 0, *, size: int = 6, sharp: float = 6.0) -> Captioner:
    """A small network with opinions, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Captioner(CaptionerConfig(size, 4, embedding_size=8, memory_size=6, hidden_size=7, dropout=0.0))
        made.embedding.weight.data *= sharp
    return made.eval().requires_grad_(False)


def grids(count: int, seed: int = 1, *, channels: int = 4) -> Tensor:
    return torch.randn(count, channels, 3, 2, generator=random_generator(seed))


def every_sentence() -> list[tuple[int, ...]]:
    return [ids for length in range(1, LONGEST + 1) for ids in itertools.product(WORDS, repeat=length)]


def log_probability(captioners: list[Captioner], grid: Tensor, ids: tuple[int, ...]) -> float:
    """Of a sentence and its end, word by word from its definition; the start and the unknown count as words too."""
    total, views = 0.0, [one.look(grid) for one in captioners]
    for place, word in enumerate([*ids, END]):
        read = torch.tensor([[START, *ids[:place]]])
        each = [one(view, read)[0][0, -1].softmax(-1) for one, view in zip(captioners, views, strict=True)]
        total += math.log(float(torch.stack(each).mean(0)[word]))
    return total


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sentences(members: int, penalty: float) -> None:
    captioners = [network(seed) for seed in range(members)]
    pictures, rules = grids(3), Rules(beam=40, length_penalty=penalty, max_words=LONGEST)
    found = search(captioners, [one.look(pictures) for one in captioners], rules)
    for place, best in enumerate(found):
        scored = [
            (log_probability(captioners, pictures[place : place + 1], ids) / (len(ids) + 1) ** penalty, ids)
            for ids in every_sentence()
        ]
        expected = sorted(scored, reverse=True)[: len(best)]
        assert [one.ids for one in best if one.ended] == [ids for _, ids in expected][: sum(o.ended for o in best)]
        assert best[0].score == pytest.approx(expected[0][0], abs=1e-5)


def test_searching_many_pictures_at_once_is_searching_each() -> None:
    captioner, pictures, rules = network(3), grids(5), Rules(beam=3, max_words=6)
    together = search([captioner], [captioner.look(pictures)], rules)
    for place, found in enumerate(together):
        (alone,) = search([captioner], [captioner.look(pictures[place : place + 1])], rules)
        assert [one.ids for one in alone] == [one.ids for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)


def test_a_beam_of_one_takes_the_likeliest_word_each_time() -> None:
    captioner, picture = network(4), grids(1)
    (found,) = search([captioner], [captioner.look(picture)], Rules(beam=1, max_words=5))
    ids: list[int] = []
    while len(ids) < 5:
        logits, _ = captioner(captioner.look(picture), torch.tensor([[START, *ids]]))
        logits[0, -1, [START, UNKNOWN, *([] if ids else [END])]] = -math.inf
        if int(logits[0, -1].argmax()) == END:
            break
        ids.append(int(logits[0, -1].argmax()))
    assert list(found[0].ids) == ids


def test_a_beam_that_never_ends_answers_with_its_best() -> None:
    captioner = network(5)
    captioner.bias[END] = -1e4
    ((best, *rest),) = search([captioner], [captioner.look(grids(1))], Rules(beam=3, max_words=7))
    assert not any(one.ended and one.log_probability > -1e3 for one in (best, *rest))
    assert len(best.ids) >= 1


def test_no_sentence_is_empty_or_has_a_mark_in_it() -> None:
    captioner = network(6)
    captioner.bias[END] = captioner.bias[UNKNOWN] = captioner.bias[START] = 50.0
    views = [captioner.look(grids(2))]
    drawn = draw_sentences([captioner], views, Rules(max_words=4), 20, random_generator(0))
    for found in [*search([captioner], views, Rules(beam=4, max_words=4)), *drawn]:
        for one in found:
            assert len(one.ids) >= 1
            assert not {START, END, UNKNOWN} & set(one.ids)


def test_sentences_are_drawn_as_often_as_they_are_likely() -> None:
    captioner, picture, count = network(7, sharp=3.0), grids(1), 4000
    captioner.bias[[START, UNKNOWN]] = -1e9  # so that nothing is left out of what can be drawn
    rules = Rules(max_words=LONGEST)
    (drawn,) = draw_sentences([captioner], [captioner.look(picture)], rules, count, random_generator(1))
    first = {word: math.exp(log_probability([captioner], picture, (word,))) for word in WORDS}
    likely = captioner(captioner.look(picture), torch.tensor([[START]]))[0][0, -1].softmax(-1)
    for word in WORDS:
        expected = first[word] / (1 - float(likely[END]))  # no sentence is empty
        share = sum(one.ids == (word,) for one in drawn) / count
        assert share == pytest.approx(expected, abs=4 * math.sqrt(0.25 / count))
    again = draw_sentences([captioner], [captioner.look(picture)], rules, count, random_generator(1))
    assert again == [drawn]


def test_word_by_word_is_all_at_once() -> None:
    captioner, picture = network(8, size=9), grids(2)
    view, words = captioner.look(picture), torch.tensor([[0, 4, 5, 8], [0, 3, 3, 1], [0, 7, 6, 5], [0, 8, 8, 8]])
    at_once, looked = captioner(view, words)
    memory = captioner.start(view, 2)
    for place in range(words.shape[1]):
        logits, memory = captioner.step(words[:, place], view, memory)
        torch.testing.assert_close(logits, at_once[:, place], atol=1e-5, rtol=1e-5)
    assert looked.shape == (4, 4, 6)
    torch.testing.assert_close(looked.sum(-1), torch.ones(4, 4))


def test_what_is_written_depends_on_nothing_later() -> None:
    captioner = network(9, size=9)
    view = captioner.look(grids(1))
    one, other = (captioner(view, torch.tensor([[0, 4, last, last]]))[0] for last in (5, 7))
    torch.testing.assert_close(one[:, :2], other[:, :2])
    assert not torch.allclose(one[:, 2], other[:, 2])


def test_it_sees_where_things_are() -> None:
    captioner, grid = network(10), grids(1)
    moved = captioner.look(grid.flip(-1)).places
    assert not torch.allclose(captioner.look(grid).places.sort(1).values, moved.sort(1).values)


def test_confidence_and_places_of_words() -> None:
    captioner, pictures = network(11), grids(2)
    views = [captioner.look(pictures)]
    found = search([captioner], views, Rules(beam=2, max_words=5))
    told = looked_at([captioner], views, [[one.ids for one in own] for own in found])
    for own, looks in zip(found, told, strict=True):
        for one, (confidences, maps) in zip(own, looks, strict=True):
            assert len(confidences) == len(one.ids)
            assert maps.shape == (len(one.ids), 3, 2)
            torch.testing.assert_close(maps.sum((1, 2)), torch.ones(len(one.ids)))
            assert all(0 < confidence <= 1 for confidence in confidences)
            assert sum(map(math.log, confidences)) >= one.log_probability - 1e-4  # which counts the end as well


def test_padding_says_what_is_read_and_written() -> None:
    read, write, there = padded([(3, 4), (5,)])
    assert read.tolist() == [[START, 3, 4], [START, 5, END]]
    assert write.tolist() == [[3, 4, END], [5, END, END]]
    assert there.tolist() == [[True, True, True], [True, True, False]]


def test_scores_prefer_longer_sentences_with_a_larger_penalty() -> None:
    short, long = -2.0, -3.0
    assert Rules(length_penalty=0.0).score(short, 3) > Rules(length_penalty=0.0).score(long, 8)
    assert Rules(length_penalty=1.0).score(short, 3) < Rules(length_penalty=1.0).score(long, 8)
    assert Found((3,), -1.0, -0.5, True).ended


def test_coordinates() -> None:
    where = coordinates(2, 3, torch.zeros(1))
    assert where[0].tolist() == [[-1, 0, 1], [-1, 0, 1]]
    assert where[1].tolist() == [[-1, -1, -1], [1, 1, 1]]


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(CaptionerError, match="hidden_size is 0"):
        CaptionerConfig(10, 4, hidden_size=0)
    with pytest.raises(CaptionerError, match="dropout is 1"):
        CaptionerConfig(10, 4, dropout=1.0)
    with pytest.raises(CaptionerError, match="looks at grids of 4 channels, not at 1×5×3×2"):
        network().look(grids(1, channels=5))
    with pytest.raises(CaptionerError, match="a grid of 6"):
        EncoderConfig("own", picture_size=48, grid=7)


def test_a_configuration_goes_through_json() -> None:
    for config in (CaptionerConfig(10, 4, dropout=0.3), EncoderConfig("own", picture_size=48, grid=6, width=8)):
        assert type(config).from_json(config.to_json()) == config


def test_an_own_encoder_gives_the_grid_that_it_is_asked_for() -> None:
    encoder = make_encoder(EncoderConfig("own", picture_size=48, grid=6, width=4)).eval()
    assert isinstance(encoder, OwnEncoder)
    assert encoder(torch.rand(2, 3, 48, 48)).shape == (2, encoder.channels, 6, 6)


def test_a_feature_encoder_says_mean_and_deviation_of_each_cell() -> None:
    encoder = make_encoder(EncoderConfig("features", layers=("relu1_1", "relu2_1"), picture_size=32, grid=2))
    picture = torch.rand(1, 3, 32, 32, generator=random_generator(0))
    assert isinstance(encoder, FeatureEncoder)
    first = encoder.features(picture)["relu1_1"]
    grid = encoder(picture)
    channels = first.shape[1]
    assert grid.shape == (1, encoder.channels, 2, 2)
    cell = first[0, :, :16, 16:].flatten(1)
    torch.testing.assert_close(grid[0, :channels, 0, 1], cell.mean(1), atol=0.02, rtol=0.02)
    torch.testing.assert_close(grid[0, channels : 2 * channels, 0, 1], cell.std(1, correction=0), atol=0.02, rtol=0.02)


def test_another_networks_features_are_refused() -> None:
    with pytest.raises(CaptionerError, match="was trained with another bundled network"):
        make_encoder(EncoderConfig("features", layers=("relu1_1",), picture_size=32, grid=2, sha256="0" * 64))
