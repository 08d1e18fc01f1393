"""Feature visualization: objectives as text, what they measure, how pictures are written down, and what is drawn."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image
from torch import Tensor

from creative.device import random_generator
from creative.engines.feature_visualization import (
    Adam,
    Between,
    FourierPictures,
    Jitter,
    Pad,
    PixelPictures,
    Rotate,
    Scale,
    Score,
    Transforms,
    ascend,
    draw,
    likeness,
    measure,
    robust_transforms,
    sheet,
    visualize,
)
from creative.engines.feature_visualization.measure import Seen
from creative.engines.feature_visualization.redirect import Redirected
from creative.images import to_tensor
from creative.models.features import load_classifier, load_features, untrained_features
from creative.options.feature_visualization import VisualizeSettings
from creative.options.objectives import (
    Channel,
    Class,
    Constant,
    Direction,
    Layer,
    Neuron,
    Objective,
    ObjectiveError,
    channel_range,
    parse_objective,
)
from creative.progress import run
from creative.settings import SettingsError

QUICK = {"size": 32, "steps": 2, "network": "squeezenet1_1"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with random weights of a small network, so that nothing depends on trained ones."""
    from safetensors.torch import save_file

    from creative.models.squeezenet import SqueezeNet

    generator = torch.Generator().manual_seed(0)
    state = SqueezeNet("1_1").state_dict()
    state = {n: torch.randn(t.shape, generator=generator) * (2 / max(1, t[0].numel())) ** 0.5 for n, t in state.items()}
    path = tmp_path_factory.mktemp("weights") / "network.safetensors"
    save_file(state, path)
    return str(path)


# --- objectives as text ---


def test_parse_means_what_python_means() -> None:
    said = parse_objective("2 * relu4_1:17 - (relu3_1:4@0.25,.5 + relu2_1{3=1, 4=-0.5}) / 4 * class:golden_retriever")
    direction = Direction("relu2_1", ((3, 1.0), (4, -0.5)))
    meant = 2 * Channel("relu4_1", 17) - (Neuron("relu3_1", 4, 0.25, 0.5) + direction) / 4 * Class("golden_retriever")
    assert said == meant


def random_objective(dice: random.Random, depth: int) -> Objective:
    leaves = [
        Channel("relu4_1", dice.randrange(99)),
        Neuron("conv1", dice.randrange(9), dice.random(), 0.5),
        Neuron("fire9", 3),
        Direction("relu3_1", ((1, dice.uniform(-2, 2)), (7, 1e-7))),
        Class("tiger_shark"),
        Layer("inception4c"),
    ]
    if depth == 0:
        return dice.choice(leaves)
    a, b = random_objective(dice, depth - 1), random_objective(dice, dice.randrange(depth))
    return dice.choice([a + b, a - b, a * b, -a, a * dice.uniform(-3, 3), dice.randrange(9) - a, a / 3, a + 0.5 * b])


def test_text_of_an_objective_parses_to_it_again() -> None:
    dice = random.Random(0)
    for _ in range(300):
        objective = random_objective(dice, dice.randrange(5))
        assert parse_objective(str(objective)) == objective, str(objective)


def test_minus_and_times_bind_as_in_arithmetic() -> None:
    maps = {"a": torch.full((9, 1, 1), 5.0), "b": torch.full((9, 1, 1), 3.0), "c": torch.full((9, 1, 1), 2.0)}
    values = {
        "a:0 - b:0 - c:0": 0,
        "a:0 - (b:0 - c:0)": 4,
        "a:0 + b:0 * c:0": 11,
        "-a:0 * c:0": -10,
        "a:0 / 2 / 5": 0.5,
    }
    for text, value in values.items():
        assert measure(parse_objective(text), maps).item() == pytest.approx(value), text


NO_OBJECTIVES = """
a: | a:b | a:-1 | a:1.5 | a:0 + | + | a:0 b:1 | (a:0 | a:0) | a:0 / 0 | a:0 / b:0 | 3 | 2 * 3 | a{} | a{1} | a{1=}
a{1=0} | a{1=1,1=2} | a:0@2,0 | a:0@0.5 | class: | a:0; import os | __import__('os') | a:0 ** 2 | a:9999999 | ä:0
"""
TOO_MUCH = ["", "  ", "(" * 99 + "a:0" + ")" * 99, "-" * 99 + "a:0", "a:0 + " * 500 + "a:0", "a+" * 900 + "a"]


@pytest.mark.parametrize(
    "text", [text for line in NO_OBJECTIVES.split("\n") for text in line.split(" | ") if text] + TOO_MUCH
)
def test_what_is_no_objective_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(ObjectiveError) as told:
        parse_objective(text)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 3000


def test_message_points_to_the_place() -> None:
    with pytest.raises(ObjectiveError, match=r"character 15, '\$ 2', expected"):
        parse_objective("relu4_1:17 +  $ 2")


def test_channel_ranges() -> None:
    assert channel_range("relu4_1:0-3, 7,2") == ("relu4_1", (0, 1, 2, 3, 7))
    assert channel_range("relu4_1:7") is None
    assert channel_range("a:1 - b:2") is None
    assert channel_range("class:7-9") is None
    with pytest.raises(ObjectiveError, match="no range"):
        channel_range("relu4_1:9-3")


# --- what objectives measure ---


def test_measures_are_those_of_their_definitions() -> None:
    map_ = torch.randn(6, 5, 7, generator=random_generator(0))
    maps, logits = {"a": map_}, torch.tensor([0.5, 2.0])
    assert measure(Channel("a", 2), maps) == map_[2].mean()
    assert measure(Neuron("a", 2), maps) == map_[2, 2, 3]
    assert measure(Neuron("a", 2, 0, 1), maps) == map_[2, 4, 0]
    assert measure(Layer("a"), maps) == pytest.approx(float((map_**2).mean() / 2))
    assert measure(Class("Great White"), maps, logits, ["tench", "great_white"]) == 2 - 1.25
    along = (map_[1] * 3 - map_[4] * 4) / 5
    expected = (along * (along / map_.norm(dim=0)).clamp(min=0.1)).mean()
    assert measure(Direction("a", ((1, 3.0), (4, -4.0))), maps) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "text", ["a:2", "a:2@", "a:2@0.9,0.1", "a{1=1, 3=-0.5}", "a", "class:1", "2*a:1 - a:3@ * class:0 + a{2=1} / 3"]
)
def test_gradients_agree_with_finite_differences(text: str) -> None:
    objective = parse_objective(text)
    weight = torch.randn(4, 3, 3, 3, dtype=torch.double, generator=random_generator(1))

    def value(picture: Tensor) -> Tensor:
        map_ = torch.nn.functional.softplus(torch.nn.functional.conv2d(picture, weight))[0]
        return measure(objective, {"a": map_}, map_.mean((1, 2)), ["x", "y", "z", "w"])

    picture = torch.rand(1, 3, 6, 5, dtype=torch.double, generator=random_generator(2)).requires_grad_()
    assert torch.autograd.gradcheck(value, picture, eps=1e-6, atol=1e-6, rtol=1e-4)


def test_a_batch_scores_as_its_pictures_do_alone() -> None:
    network = untrained_features("squeezenet1_1", layers=["fire2", "fire4"])
    objectives = [Channel("fire2", 3), Neuron("fire4", 7), Channel("fire2", 3) - 2 * Channel("fire4", 1)]
    pictures = torch.rand(3, 3, 40, 40, generator=random_generator(0))
    together = Score(objectives, network)(pictures)
    alone = [Score([one], network)(picture[None])[0] for one, picture in zip(objectives, pictures, strict=True)]
    assert torch.allclose(together, torch.stack(alone), rtol=1e-4)


def test_likeness_is_one_for_the_same_and_counts_only_the_group() -> None:
    maps = torch.rand(4, 5, 6, 6, generator=random_generator(0))
    maps[1] = maps[0].flip(-1)  # a Gram matrix does not know where things are
    maps[2:, :, :, :] = torch.eye(5)[:2, :, None, None]  # two pictures that excite different channels
    assert likeness(maps, 2).tolist() == pytest.approx([1, 1, 0, 0], abs=1e-5)


# --- parameterisations ---


@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 45), (17, 18)])
@pytest.mark.parametrize("decorrelate", [True, False])
@pytest.mark.parametrize("kind", [FourierPictures, PixelPictures])
def test_parameterisations_reproduce_a_given_picture(kind: type, height: int, width: int, decorrelate: bool) -> None:
    given = torch.rand(2, 3, height, width, generator=random_generator(3))
    pictures = kind([random_generator(0)] * 2, height, width, decorrelate=decorrelate)
    pictures.become(given)
    assert (pictures() - given).abs().max() < 1 / 512
    inner = (given > 0.01) & (given < 0.99)
    assert (pictures() - given)[inner].abs().max() < 1e-4


def test_pictures_with_a_common_part_reproduce_too() -> None:
    given = torch.rand(3, 3, 16, 16, generator=random_generator(3))
    pictures = FourierPictures([random_generator(i) for i in range(3)], 16, 16, common=True)
    pictures.common.data.normal_(generator=random_generator(9))
    pictures.become(given)
    assert (pictures() - given).abs().max() < 1 / 512


def test_a_step_in_the_fourier_basis_changes_coarse_shapes_most() -> None:
    pictures = FourierPictures([random_generator(0)], 64, 64)
    pictures().square().sum().backward()
    scale = pictures.scale[..., 0]
    assert scale[0, 1] > 5 * scale[0, 30]
    assert pictures.own.grad is not None
    assert torch.isfinite(pictures.own.grad).all()


# --- transforms ---


def test_jitter_moves_by_whole_pixels() -> None:
    picture = torch.rand(1, 3, 20, 24, generator=random_generator(0))
    for seed in range(5):
        down, right = Jitter(4).matrix(random_generator(seed))[[1, 0], [2, 2]].int().tolist()
        moved = Jitter(4)(picture, [random_generator(seed)])
        shifted = torch.roll(picture, (-down, -right), (2, 3))
        assert torch.allclose(moved[..., 4:-4, 4:-4], shifted[..., 4:-4, 4:-4], atol=1e-4)


def test_half_a_turn_and_doubling_do_what_they_say() -> None:
    picture = torch.rand(1, 3, 16, 16, generator=random_generator(0))
    smooth = torch.nn.functional.avg_pool2d(picture, 5, 1, 2)

    class HalfTurn(Rotate):
        def matrix(self, generator: torch.Generator) -> Tensor:
            return torch.diag(torch.tensor([-1.0, -1.0, 1.0]))

    assert torch.allclose(HalfTurn(0)(smooth, [random_generator(0)]), smooth.flip(2, 3), atol=1e-5)
    doubled = Scale(2, 2)(smooth, [random_generator(0)])
    inner = torch.nn.functional.interpolate(smooth[..., 4:12, 4:12], scale_factor=2, mode="bilinear")
    assert torch.allclose(doubled[..., 2:-2, 2:-2], inner[..., 2:-2, 2:-2], atol=1e-4)


def test_several_affine_transforms_are_one_resampling_in_their_order() -> None:
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 64), indexing="ij")
    smooth = torch.stack([xx, yy, torch.cos(2 * xx + yy)])[None].repeat(2, 1, 1, 1)
    steps = [Jitter(3), Scale(0.9, 1.1), Rotate(10)]
    at_once = Transforms(steps)(smooth, [random_generator(1), random_generator(2)])
    generators, one_by_one = [random_generator(1), random_generator(2)], smooth
    for step in steps:
        one_by_one = step(one_by_one, generators)
    assert torch.allclose(at_once[..., 12:-12, 12:-12], one_by_one[..., 12:-12, 12:-12], atol=0.01)
    assert not torch.allclose(at_once[0], at_once[1], atol=0.01)  # each picture by its own draw


def test_padding_frames_in_grey_and_zero_leaves_out() -> None:
    picture = torch.zeros(1, 3, 8, 8)
    framed = Pad(2)(picture, [random_generator(0)])
    assert framed.shape == (1, 3, 12, 12)
    assert framed[0, 0, 0, 0] == 0.5
    assert robust_transforms(jitter=0, scale=0, rotate=0, pad=0)(picture, [random_generator(0)]) is picture


# --- optimiser, redirection and ascent ---


def test_adam_is_torchs_adam() -> None:
    start = torch.randn(4, 5, generator=random_generator(0))
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    pairs = [(ours, Adam([ours], lr=0.1)), (theirs, torch.optim.Adam([theirs], lr=0.1))]
    for number in range(20):
        for parameter, optimizer in pairs:
            optimizer.zero_grad()
            (parameter.sin() * (number + 1)).square().sum().backward()
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_redirected_relus_have_the_same_values_and_help_only_the_dead() -> None:
    x = torch.tensor([-1.0, 2.0, 3.0]).view(1, 3, 1, 1).repeat(2, 1, 1, 1)
    x[1] = -1
    x.requires_grad_()
    mode = Redirected()
    with mode:
        y = torch.relu(x)
        (-y.sum()).backward()
    assert torch.equal(y, x.clamp(min=0))
    assert x.grad is not None
    assert x.grad.flatten(1).tolist() == [[0, -1, -1], [-1, -1, -1]]
    assert mode.helped


def test_a_channel_that_nothing_excites_is_woken() -> None:
    network = untrained_features("squeezenet1_1", layers=["fire3"])
    score = Score([Channel("fire3", 2)], network)
    pictures = FourierPictures([random_generator(0)], 48, 48)
    with torch.no_grad():
        network.chain["fire3"].expand1x1.bias[2] += 1
        most = network(robust_transforms(jitter=2)(pictures(), [random_generator(0)]))["fire3"][0, 2].max()
        network.chain["fire3"].expand1x1.bias[2] -= most + 0.1
    assert score(pictures()).item() == 0
    run(ascend(pictures, score, robust_transforms(jitter=2), Adam(pictures.parameters(), 0.1), steps=40))
    assert score(pictures()).item() > 0


@pytest.mark.parametrize(
    "text", ["relu3_1:5", "relu3_1:5@", "relu3_1{1=1, 5=-0.5}", "relu3_1:5 - 0.1 * relu2_1:3", "relu3_1"]
)
@pytest.mark.parametrize("kind", [FourierPictures, PixelPictures])
def test_every_objective_rises(kind: type, text: str) -> None:
    network = load_features(layers=["relu2_1", "relu3_1"])
    pictures = kind([random_generator(0)], 40, 40)
    score = Score([parse_objective(text)], network)
    before = score(pictures()).item()
    run(ascend(pictures, score, robust_transforms(jitter=2), Adam(pictures.parameters(), 0.05), steps=16))
    assert score(pictures()).item() > before + 0.1 * abs(before)


def test_a_class_rises() -> None:
    network = load_classifier()
    pictures, score = FourierPictures([random_generator(0)], 48, 48), Score([Class("toucan")], network)
    before = score(pictures()).item()
    run(ascend(pictures, score, robust_transforms(jitter=2), Adam(pictures.parameters(), 0.05), steps=16))
    assert score(pictures()).item() > before + 1


def test_between_two_objectives_both_pull_by_their_shares_whatever_their_sizes() -> None:
    network = untrained_features("squeezenet1_1", layers=["fire2", "fire4"]).double()
    first, last = Layer("fire2"), Layer("fire4")
    pictures = torch.rand(3, 3, 40, 40, generator=random_generator(0)).double().requires_grad_()

    def slopes(a: Objective, b: Objective) -> Tensor:
        between = Between(a, b, 3, network, dtype=torch.double)
        return torch.autograd.grad(between(pictures).sum(), pictures)[0]

    def alone(objective: Objective) -> Tensor:
        seen = Seen(network, pictures).values([objective] * 3)
        slope = torch.autograd.grad(seen.sum(), pictures)[0]
        return slope / slope.flatten(1).norm(dim=1).view(3, 1, 1, 1)

    mixed = slopes(first, last)
    torch.testing.assert_close(mixed[0], alone(first)[0], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(mixed[1], (alone(first) + alone(last))[1] / 2, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(mixed[2], alone(last)[2], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(slopes(first, 1000 * last), mixed, rtol=1e-4, atol=1e-7)
    values = Between(first, last, 3, network, dtype=torch.double)(pictures)
    assert values[0].item() == pytest.approx(Score([first] * 3, network, dtype=torch.double)(pictures)[0].item())


def test_a_row_leads_from_one_to_the_other() -> None:
    """However much larger the last one's values are: the pictures in the middle have a good deal of both."""
    settings = VisualizeSettings(
        objectives=("relu2_2:3",), towards="1000 * relu3_2:40", frames=5, size=48, steps=24, precision="float32"
    )
    drawn = run(draw(settings))
    pictures = torch.cat([to_tensor(picture) for picture in drawn.pictures])
    seen = Seen(load_features(layers=["relu2_2", "relu3_2"]), pictures)
    first, last = (seen.values([Channel(*name)] * 5) for name in (("relu2_2", 3), ("relu3_2", 40)))
    assert first[0] > first[4]
    assert last[4] > last[0]
    for values, best, worst in ((first, 0, 4), (last, 4, 0)):
        assert values[2] - values[worst] > 0.2 * (values[best] - values[worst])


# --- the whole ---


def test_a_picture_in_a_sheet_is_the_picture_alone(weights: str) -> None:
    settings = VisualizeSettings(**QUICK, labels=False, precision="float32")
    alone = to_tensor(run(visualize("fire3:7", settings, weights=weights)))
    together = run(visualize(["fire3:2", "fire3:7"], settings, weights=weights))
    tile = to_tensor(together)[..., 4 : 4 + 32, 4 + 32 + 4 : 4 + 32 + 4 + 32]
    assert (tile - alone).abs().max() <= 2 / 255


def test_same_seed_same_picture_other_seed_another(weights: str) -> None:
    one, again, other = (
        run(visualize("fire3:7", VisualizeSettings(**QUICK, seed=seed), weights=weights)) for seed in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_provenance_makes_the_same_picture_again(weights: str) -> None:
    image = run(visualize(2 * Channel("fire3", 7) - Channel("fire2", 1), VisualizeSettings(**QUICK), weights=weights))
    made = image.info["provenance"]
    assert made.action == "visualize"
    again = run(visualize(settings=VisualizeSettings(**made.settings), weights=weights))
    assert again.tobytes() == image.tobytes()
    assert made.inputs["network_weights"][0].file == "network.safetensors"


def test_sheets_have_a_place_for_each_picture(weights: str) -> None:
    steps = []
    settings = VisualizeSettings(**QUICK, channels=5, batch=2)
    image = run(visualize("fire2", settings, weights=weights), steps.append)
    assert steps[0].done == 0
    assert steps[-1].done == steps[-1].total == 2 * 3
    assert image.width > 3 * 32
    assert image.height > 2 * 32
    row = run(visualize("fire2:1", VisualizeSettings(**QUICK, towards="fire3:2", frames=4), weights=weights))
    assert row.width > 4 * 32 > row.height


def test_previews_are_sheets_of_what_there_is(weights: str) -> None:
    engine = visualize("fire2:0-2", VisualizeSettings(**QUICK, batch=1), weights=weights)
    next(engine)
    sizes = {next(engine).preview().size for _ in range(5)}
    assert sizes == {run(engine).size}


def test_variants_that_must_differ_do(weights: str) -> None:
    def alike(diversity: float) -> float:
        settings = VisualizeSettings(
            **{**QUICK, "steps": 16, "size": 48}, variants=2, diversity=diversity, labels=False
        )
        both = to_tensor(run(visualize("fire3:7", settings, weights=weights)))
        pair = torch.cat([both[..., 4 : 4 + 48, 4 : 4 + 48], both[..., 4 : 4 + 48, 8 + 48 : 8 + 96]])
        network = load_features("squeezenet1_1", layers=["fire3"], weights=weights)
        return likeness(network(pair)["fire3"], 2)[0].item()

    assert alike(20) < alike(0)


def test_a_class_is_drawn(weights: str) -> None:
    network = dict(QUICK, size=64)
    by_name = run(visualize("class:tiger_shark", VisualizeSettings(**network), weights=weights))
    by_number = run(visualize("class:3", VisualizeSettings(**network), weights=weights))
    assert by_name.tobytes() == by_number.tobytes()


def test_stopped_at_once(weights: str) -> None:
    engine = visualize("fire3:7", VisualizeSettings(**QUICK), weights=weights)
    next(engine)
    next(engine)
    engine.close()
    assert torch.is_grad_enabled()
    assert torch.relu(torch.tensor(-1.0)) == 0


@pytest.mark.parametrize(
    ("objective", "changes", "message"),
    [
        ("fire33:1", {}, "did you mean fire"),
        ("fire3:128", {}, "fire3 has 128 channels, from 0 to 127, but fire3:128"),
        ("fire3{500=1}", {}, "has 128 channels"),
        ("class:tiger_shar", {}, "did you mean tiger_shark"),
        ("class:shark", {}, "tiger_shark"),
        ("class:1000", {}, "from 0 to 999"),
        ("fire3:", {}, "is no objective"),
        ("fire3", {"towards": "fire2:1"}, "leads from one objective"),
        ("fire2:1", {"towards": "fire2:1000"}, "channels"),
        ("fire9:1", {"size": 32, "network": "vgg16"}, "no layer"),
    ],
)
def test_what_is_not_there_is_told_at_the_call(weights: str, objective: str, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        visualize(objective, VisualizeSettings(**{**QUICK, **changes}), weights=weights)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objectives": ()}, "objectives"),
        ({"objectives": ("relu4_1:",)}, "is no objective"),
        ({"towards": "1"}, "nothing in it can grow"),
        ({"towards": "a:1", "variants": 2}, "variants must be 1"),
        ({"objectives": ("a:0-255",), "size": 1024}, "Draw fewer"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"learning_rate": float("nan")}, "finite"),
    ],
)
def test_settings_that_cannot_be(values: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        VisualizeSettings(**values)


def test_sheet_of_one_is_the_picture() -> None:
    one = Image.new("RGB", (40, 40), "red")
    assert sheet([one], ["x"]) is one
    assert sheet([one], ["x" * 99, "y"], places=2).height < 80


def test_numbers_are_no_objectives() -> None:
    with pytest.raises(TypeError, match="finite"):
        Channel("a", 1) * float("nan")
    assert (Channel("a", 1) + 1).b == Constant(1)
