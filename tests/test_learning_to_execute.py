"""Learning to execute: the networks, their training, measuring them, having a program read."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from creative import run
from creative.checkpoint import load_checkpoint
from creative.data.programs import CHARACTERS, Level, ProgramError, Writing, make_batch, read_program, sample, split_of
from creative.data.programs.batches import GO
from creative.engines.learning_to_execute import (
    ExecuteError,
    evaluate_execute,
    execute,
    join_networks,
    load_trained,
    train_execute,
)
from creative.engines.learning_to_execute.answering import Written, answer_all
from creative.engines.learning_to_execute.calibration import best_temperature, calibration_of
from creative.engines.learning_to_execute.evaluation import Accuracy, held_out, measure, table_text
from creative.engines.learning_to_execute.training import Execution, Programs, Streams
from creative.engines.training import TrainingError, train
from creative.metrics import wilson_interval
from creative.models.executor import (
    _GO,
    NUM_ANSWER_CHARACTERS,
    NUM_CHARACTERS,
    AttentiveExecutor,
    Executor,
    ExecutorConfig,
    make_executor,
)
from creative.options.execute import EvaluateExecuteSettings, ExecuteSettings, TrainExecuteSettings
from creative.progress import Step
from creative.settings import SettingsError

CPU = torch.device("cpu")
SHAPES = {
    "plain": ExecutorConfig(24, 2),
    "attention": ExecutorConfig(24, 2, num_heads=2, writer_size=16),
    "both ways": ExecutorConfig(24, 2, num_heads=2, both_ways=True, writer_size=16, thinking=2),
}
TOY: dict[str, Any] = {
    "length": 1,
    "nesting": 1,
    "hidden_size": 16,
    "writer_size": 16,
    "num_heads": 2,
    "batch_size": 8,
    "pool": 3,
    "check_every": 2,
    "evaluate_every": 1000,
    "precision": "float32",
}
PAPER: dict[str, Any] = {
    "recipe": "paper",
    "length": 2,
    "nesting": 2,
    "hidden_size": 12,
    "batch_size": 4,
    "unroll": 9,
    "check_every": 2,
    "evaluate_every": 1000,
    "precision": "float32",
}


def mixed(random: Any) -> Level:
    return Level(random(4), random(3))


def network(name: str, seed: int = 0) -> Executor:
    torch.manual_seed(seed)
    return make_executor(SHAPES[name]).eval()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("doubled", [False, True])
def test_a_program_is_read_in_a_batch_as_it_is_alone(name: str, doubled: bool) -> None:
    executor, writing = network(name), Writing(doubled_input=doubled)
    samples = sample(range(12), mixed)
    together = executor(*make_batch(samples, writing).tensors(CPU))
    for row, one in enumerate(samples):
        alone = executor(*make_batch([one], writing).tensors(CPU))
        torch.testing.assert_close(alone[0], together[row, : alone.shape[1]], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_character_by_character_is_all_at_once(name: str) -> None:
    executor = network(name)
    programs, lengths, answers = make_batch(sample(range(9), mixed), Writing(True)).tensors(CPU)
    expected = executor(programs, lengths, answers)
    memory, ids = executor.read(programs, lengths), None
    for place in range(answers.shape[1]):
        logits, memory = executor.write(ids, memory)
        torch.testing.assert_close(logits, expected[:, place], atol=1e-5, rtol=1e-4)
        ids = answers[:, place]


def test_what_is_written_depends_on_what_was_read_and_on_nothing_to_come() -> None:
    for name in SHAPES:
        executor = network(name)
        programs, lengths, answers = make_batch(sample([5], mixed), Writing()).tensors(CPU)
        before = executor(programs, lengths, answers)
        later = answers.clone()
        later[:, -1] = 5
        torch.testing.assert_close(executor(programs, lengths, later), before)
        programs[:, 0] = (programs[:, 0] + 1) % len(CHARACTERS)
        assert (executor(programs, lengths, answers) - before).abs().max() > 1e-6


def test_hidden_values_are_those_of_the_reader() -> None:
    for name, config in SHAPES.items():
        executor = network(name)
        program = torch.tensor([3, 4, 5, 1])
        hidden = executor.hidden(program)
        assert hidden.shape == (4, config.num_layers, config.hidden_size)
        assert hidden.abs().max() < 1
        # Without a way back, what comes later changes nothing that was held before.
        same = torch.equal(executor.hidden(torch.tensor([3, 4, 5, 2]))[:3], hidden[:3])
        assert same is (name != "both ways")


def test_attention_looks_only_at_what_is_there() -> None:
    executor = network("attention")
    assert isinstance(executor, AttentiveExecutor)
    attention = executor.attentions[0]
    memory, queries = torch.randn(2, 5, 24), torch.randn(2, 3, 16)
    present = torch.tensor([[True] * 5, [True, True, False, False, False]])
    weights = attention.weights(queries, memory, present)
    assert weights.shape == (2, 3, 2, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 2))
    assert weights[1, :, :, 2:].abs().max() == 0
    # Against torch's own: the same products, in another order.
    keys, means = memory[0], []
    for head in range(2):
        query = (queries[0] @ attention.query.weight.T + attention.query.bias)[:, head * 24 : (head + 1) * 24]
        means.append(torch.nn.functional.scaled_dot_product_attention(query[None], keys[None], keys[None])[0])
    torch.testing.assert_close(attention(queries, memory, present)[0], attention.output(torch.cat(means, 1)))


def test_networks_and_data_agree_about_the_characters() -> None:
    assert len(CHARACTERS) == NUM_CHARACTERS
    assert len(set(CHARACTERS)) == NUM_CHARACTERS
    assert set(CHARACTERS[:NUM_ANSWER_CHARACTERS]) == set("\0@.-0123456789")
    assert CHARACTERS[_GO] == GO


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        ExecutorConfig(hidden_size=33, num_heads=1, both_ways=True)
    with pytest.raises(SettingsError, match="even"):
        TrainExecuteSettings(hidden_size=33)
    with pytest.raises(SettingsError, match="without attention"):
        TrainExecuteSettings(reading="stream")
    with pytest.raises(SettingsError, match="no nesting"):
        TrainExecuteSettings(task="addition", nesting=3)


# Measuring


@pytest.mark.parametrize("name", SHAPES)
def test_whole_answers_are_those_written_without_help(name: str) -> None:
    executor, writing = network(name, 3), Writing(True)
    samples = sample(range(600), lambda random: Level(1, 1))
    found = measure(executor, samples, writing, CPU)
    free = answer_all(executor, samples, writing, CPU).answers
    assert found.right_answers == sum(answer == one.answer for answer, one in zip(free, samples, strict=True))
    assert found.answers == 600
    assert found.characters == sum(len(one.answer) + 1 for one in samples)


def test_a_network_that_always_writes_the_same_is_measured_by_hand() -> None:
    class Stubborn(torch.nn.Module):
        """Writes 1 and then dots."""

        def forward(self, programs: torch.Tensor, lengths: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(*answers.shape, 14)
            logits[:, 0, CHARACTERS.index("1")] = 1
            logits[:, 1:, CHARACTERS.index(".")] = 1
            return logits

    samples = sample(range(500), lambda random: Level(1, 1))
    found = measure(Stubborn(), samples, Writing(), CPU)  # type: ignore[arg-type]
    assert found.right_answers == sum(one.answer == "1" for one in samples) > 0
    firsts = sum(one.answer[0] == "1" for one in samples)
    assert found.right_characters == firsts + len(samples)  # and every dot, for no answer is empty


@pytest.mark.parametrize("name", ["plain", "both ways"])
def test_many_answers_are_as_sure_as_each_alone(name: str) -> None:
    executor, writing = network(name, 3), Writing(True)
    samples = sample(range(40), mixed)
    written = answer_all(executor, samples, writing, CPU)
    for row in range(0, 40, 8):
        alone = answer_all(executor, [samples[row]], writing, CPU)
        assert alone.answers == [written.answers[row]]
        torch.testing.assert_close(alone.confidences()[0], written.confidences()[row], rtol=1e-3, atol=0)
    assert (written.confidences(4.0) < written.confidences()).all()  # at a high temperature nothing is sure


def test_confidences_are_held_against_what_came_of_them_by_hand() -> None:
    found = calibration_of(torch.tensor([0.95, 0.91, 1.0, 0.12, 0.18]), torch.tensor([True, False, True, False, True]))
    told = {(round(one.low, 1), one.answers, one.right) for one in found.bins if one.answers}
    assert told == {(0.9, 3, 2), (0.1, 2, 1)}
    assert found.error == pytest.approx((3 * abs(2 / 3 - 2.86 / 3) + 2 * abs(0.5 - 0.15)) / 5)
    assert "| 90 to 100 | 3 | 66.7 (" in found.text
    assert calibration_of(torch.zeros(0), torch.zeros(0)).error == 0


def test_a_temperature_takes_back_what_was_said_too_loudly() -> None:
    # Two characters with logits a and 0 each: right as often as the sigmoids say, then all made three times as large.
    random = torch.Generator().manual_seed(0)
    a = 3 * torch.rand(4000, 2, generator=random) + 0.5
    right = torch.rand(4000, generator=random) < a.sigmoid().prod(1)
    ids = torch.full((4000, 2), 3)
    logits = torch.full((4000, 2, 14), -torch.inf)
    logits[..., 3], logits[..., 4] = 3 * a, 0.0
    written = Written([], ids, logits)
    assert best_temperature(written.confidences, right) == pytest.approx(3, rel=0.1)
    assert calibration_of(written.confidences(3.0), right).error < 0.03
    assert calibration_of(written.confidences(), right).error > 0.1


def test_tables_tell_counts_and_intervals() -> None:
    table = {Level(1, 1): Accuracy(9, 10, 4, 5), Level(2, 1): Accuracy(3, 10, 0, 5)}
    text = table_text("programs", table)
    low, high = wilson_interval(4, 5)
    assert f"90.0 / 80.0 ({100 * low:.0f} to {100 * high:.0f})" in text
    assert text.splitlines()[0].endswith("| 1 | 2 |")
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)  # Newcombe, 1998, Stat. Med. 17


def test_held_out_programs_are_the_same_each_time_and_no_others() -> None:
    assert held_out("programs", Level(2, 2), 50) == held_out("programs", Level(2, 2), 50)
    assert {split_of(one) for one in held_out("addition", Level(4, 1), 200)} == {0}


# Training


def trained(folder: Path, **changes: Any) -> Path:
    return run(train_execute(TrainExecuteSettings(**{**TOY, **changes}), folder, device="cpu"))


def stopped_after(engine: Generator[Step, None, Path], steps: int) -> None:
    for step in engine:
        if step.done >= steps:
            break
    engine.close()


def test_it_learns_to_say_numbers_again(tmp_path: Path) -> None:
    changes = {
        "task": "memorisation",
        "length": 2,
        "batch_size": 64,
        "hidden_size": 32,
        "writer_size": 32,
        "steps": 260,
    }
    path = trained(tmp_path, **changes, learning_rate=1e-2, check_every=20, ema_decay=0.9, precision="auto")
    network = load_trained(path, device="cpu")["memorisation"]
    assert network.accuracy[Level(2, 1)].whole > 0.8
    assert run(evaluate_execute(EvaluateExecuteSettings(programs=100), weights=path)).tables["memorisation"][
        Level(2, 1)
    ].whole == pytest.approx(network.accuracy[Level(2, 1)].whole, abs=0.15)


@pytest.mark.parametrize("base", [TOY, PAPER], ids=["programs", "stream"])
def test_a_run_that_was_stopped_goes_on_as_if_it_never_was(tmp_path: Path, base: dict[str, Any]) -> None:
    # Stops fall into the middle of a pool, and the level rises on the way.
    settings = TrainExecuteSettings(**{**base, "steps": 11, "check_every": 1, "length": 2})
    whole = run(train_execute(settings, tmp_path / "whole", device="cpu"))
    for steps in (4, 5, 8):
        stopped_after(train_execute(settings, tmp_path / "parts", device="cpu"), steps)
    parts = run(train_execute(settings, tmp_path / "parts", device="cpu"))
    assert whole.read_bytes() == parts.read_bytes()
    one, other = (load_checkpoint(folder / "last.safetensors") for folder in (tmp_path / "whole", tmp_path / "parts"))
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    assert one.metadata["state"] == other.metadata["state"]
    rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    assert float(dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))["length"]) == 2


def test_another_seed_is_another_network(tmp_path: Path) -> None:
    first, second = (load_checkpoint(trained(tmp_path / str(seed), steps=2, seed=seed)).tensors for seed in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_settings_of_another_run_are_refused(tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    with pytest.raises(TrainingError, match="curriculum"):
        trained(tmp_path, steps=2, curriculum="mix")


def test_the_papers_recipe_fills_in_what_is_not_said() -> None:
    paper = TrainExecuteSettings(recipe="paper")
    assert (paper.num_layers, paper.hidden_size, paper.unroll, paper.batch_size) == (2, 400, 50, 100)
    assert (paper.optimizer, paper.learning_rate, paper.clip_norm, paper.rate_decay) == ("sgd", 0.5, 5.0, 0.8)
    assert (paper.reading, paper.num_heads, paper.least_digit_first) == ("stream", 0, False)
    assert TrainExecuteSettings(recipe="paper", hidden_size=64).hidden_size == 64
    assert paper.changed(seed=3).changed(seed=0) == paper


def test_the_papers_recipe_runs_as_it_is(tmp_path: Path) -> None:
    losses = []
    engine = train_execute(TrainExecuteSettings(recipe="paper", log_every=1), tmp_path, device="cpu")
    for step in engine:
        losses += [step.metrics["loss"]] if step.done else []
        if step.done == 2:
            break
    engine.close()
    assert len(losses) == 2
    assert all(0 < loss < 50 * 3 for loss in losses)  # a sum over a piece's characters of at most about log 14 each
    sizes = {tuple(tensor.shape) for tensor in load_checkpoint(tmp_path / "last.safetensors").tensors.values()}
    assert {(1600, 400), (1600, 44)} <= sizes or {(400, 1600), (44, 1600)} <= sizes, sizes


def task_of(settings: TrainExecuteSettings) -> Execution:
    return Streams(settings) if settings.reading == "stream" else Programs(settings)


def test_streams_hold_every_character_of_every_program_once() -> None:
    task = Streams(TrainExecuteSettings(**PAPER))
    seen: list[list[torch.Tensor]] = []
    task.network = make_executor(task.shape)
    task.optimizers({"executor": task.network}, task.settings)
    original = task.network.model.forward

    def spy(ids: torch.Tensor, state: Any) -> Any:
        seen.append([ids, *state])
        return original(ids, state)

    task.network.model.forward = spy  # type: ignore[method-assign]
    states = []
    for step in range(12):
        task.step(torch.arange(4), FakeUpdate(step))
        assert task._state is not None
        states.append([part.clone() for part in task._state])
    assert all(torch.equal(now, before) for now, before in zip(seen[5][1:], states[4], strict=True))
    for row in range(4):
        text = "".join(CHARACTERS[number] for ids, *_ in seen for number in ids[row].tolist())
        complete = re.findall(r"(print.*?|[a-jf][=o].*?)@(-?\d+)\.", text, re.DOTALL)
        assert complete
        for program, answer in complete:
            assert str(read_program(program).answer) == answer


class FakeUpdate:
    """Learns nothing."""

    part, progress, seed = 0, 0.0, 0

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, loss: torch.Tensor, *_: Any, **__: Any) -> None:
        assert loss.isfinite()


def test_a_pool_is_cut_into_batches_of_about_the_same_size() -> None:
    task = Programs(TrainExecuteSettings(length=3, nesting=2, curriculum="mix", batch_size=32, pool=8))
    chunks = [task.chunk(step) for step in range(8)]
    spread = [max(len(one.program) for one in chunk) - min(len(one.program) for one in chunk) for chunk in chunks]
    everything = [one for chunk in chunks for one in chunk]
    assert sorted(spread)[4] <= 6
    assert max(len(one.program) for one in everything) - min(len(one.program) for one in everything) > 40
    assert len(everything) == 256
    assert {split_of(one) for one in everything} == set(range(2, 10))
    firsts = [len(task.chunk(step)[0].program) for step in range(8, 16)]
    assert firsts != sorted(firsts)
    again = Programs(TrainExecuteSettings(length=3, nesting=2, curriculum="mix", batch_size=32, pool=8))
    assert again.chunk(13) == task.chunk(13)


def test_it_gets_harder_and_slower(tmp_path: Path) -> None:
    settings = TrainExecuteSettings(**{**TOY, "length": 2, "check_every": 1, "rate_decay": 0.5, "steps": 16})
    task = task_of(settings)
    steps = train(task, settings, tmp_path, device="cpu")
    levels = [(task.curriculum.now.length, task.rate) for step in steps if step.done]
    assert levels[0] == (1, 1.0)
    assert [length for length, _ in levels] == sorted(length for length, _ in levels)
    assert levels[-1][0] == 2
    assert levels[-1][1] < 1


def test_its_previews_are_programs_with_answers(tmp_path: Path) -> None:
    engine = train_execute(TrainExecuteSettings(**{**TOY, "steps": 2}), tmp_path, device="cpu")
    step = next(step for step in engine if step.done)
    assert step.preview is not None
    assert step.preview().count("print(") == 4
    engine.close()


# Files


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks for programs and for addition in one file; they know next to nothing."""
    folder = tmp_path_factory.mktemp("small")
    paths = [trained(folder / task, task=task, length=2, steps=3) for task in ("programs", "addition")]
    return join_networks(paths, folder / "both.safetensors")


def test_a_file_holds_a_network_for_each_task(small: Path) -> None:
    networks = load_trained(small, device="cpu")
    assert set(networks) == {"addition", "programs"}
    alone = load_trained(small.parent / "addition" / "best.safetensors", device="cpu")["addition"]
    for name, tensor in alone.executor.state_dict().items():
        assert torch.equal(networks["addition"].executor.state_dict()[name], tensor)
    assert networks["addition"].accuracy == alone.accuracy
    assert networks["addition"].accuracy[Level(2, 1)].answers == 1000
    assert networks["addition"].temperature == alone.temperature > 0
    told = load_checkpoint(small).metadata["training"]
    assert told["programs"]["settings"]["task"] == "programs"
    with pytest.raises(ExecuteError, match="same task"):
        join_networks([small, small], small.parent / "twice.safetensors")


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExecuteError, match="There is no file"):
        load_trained(tmp_path / "nothing.safetensors")
    from creative.checkpoint import save_checkpoint

    other = save_checkpoint(tmp_path / "other.safetensors", {"a": torch.zeros(2)}, {"config": {}})
    with pytest.raises(ExecuteError, match="does not hold"):
        load_trained(other)


# Having a program read


def test_a_program_is_read_digit_by_digit(small: Path) -> None:
    steps = list(execute("a = 12\nprint(a + 3)", weights=small, device="cpu"))
    assert steps[0].done == 0
    grown = [step.preview().readings[0].digits for step in steps if step.preview is not None]
    assert len(grown[0]) == 1
    for before, after in itertools.pairwise(grown):
        assert after[: len(before)] == before
    texts = [step.preview().text.rstrip("\n") for step in steps if step.preview is not None]
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert all(step.done <= step.total == 3 for step in steps)  # two digits and the dot
    result = run(execute("a = 12\nprint(a + 3)", weights=small, device="cpu"))
    reading = result.readings[0]
    assert reading.truth == "15"
    assert reading.program.text == "a=12;\nprint((a+3))"
    assert reading.task == "programs"
    assert 0 < reading.confidence <= 1
    for digit in reading.digits:
        assert digit.guesses[0] == (digit.character, digit.probability)
        assert len(digit.guesses) == 3
        assert digit.probability == max(chance for _, chance in digit.guesses)
    assert "Python:  15" in result.text
    assert result.provenance is not None
    assert result.provenance.weights["execute"] == load_trained(small)["programs"].sha256
    for neuron in reading.neurons:
        assert len(neuron.values) == len(neuron.text)
        assert all(-1 < value < 1 for value in neuron.values)


def test_what_is_written_last_digit_first_is_turned_round(small: Path) -> None:
    from creative.engines.learning_to_execute import Digit, Reading

    digits = tuple(Digit(character, 0.5, ((character, 0.5),)) for character in "48121.")
    reading = Reading(read_program("print(12184)"), "12184", "programs", digits[:3], True)
    assert reading.answer == "…184"
    assert not reading.right
    reading = Reading(reading.program, "12184", "programs", digits, True)
    assert reading.answer == "12184"
    assert reading.right
    assert reading.confidence == pytest.approx(0.5**6)


def test_sums_go_to_the_network_for_sums(small: Path) -> None:
    def read(text: str, **settings: Any) -> Any:
        return run(execute(text, ExecuteSettings(**settings), weights=small, device="cpu")).readings[0]

    assert read("print(12+34)").task == "addition"
    assert read("print(12+34)").program.text == "print(12+34)"
    assert read("print(12+34)").truth == "46"
    assert read("print(12+345)").task == "programs"
    assert read("print(12+34)", task="programs").task == "programs"
    with pytest.raises(ExecuteError, match="nothing but a sum"):
        execute("print(12-34)", ExecuteSettings(task="addition"), weights=small)


def test_programs_are_made_up_and_counted(small: Path) -> None:
    result = run(execute(None, ExecuteSettings(count=5, length=2, seed=4), weights=small, device="cpu"))
    assert len(result.readings) == 5
    assert len({one.program.text for one in result.readings}) == 5
    assert all(str(read_program(one.program.text).answer) == one.truth for one in result.readings)
    right, done = result.score
    assert done == 5
    assert f"Score: {right} of 5 right." in result.text
    again = run(execute(None, ExecuteSettings(count=5, length=2, seed=4), weights=small, device="cpu"))
    assert again.text == result.text


def test_nobody_is_left_to_expect_too_much(small: Path) -> None:
    def told(text: str) -> str:
        return " ".join(step.message or "" for step in execute(text, weights=small, device="cpu"))

    assert "harder than what" in told("print((12345-1))")
    assert "harder than what" in told("print(((5+4)-1))")
    assert "longest" in told("a=99\nfor x in range(8):a+=a\nprint(a)")
    assert told("print((5+4))").strip() == ""


def test_what_cannot_be_read_is_told_at_once(small: Path) -> None:
    with pytest.raises(ProgramError, match="Line 1: division"):
        execute("print(4/2)", weights=small)
    with pytest.raises(ProgramError, match="empty"):
        execute("", weights=small)
    with pytest.raises(ExecuteError, match="no neuron 99"):
        execute("print(4)", ExecuteSettings(neuron=99), weights=small)
    with pytest.raises(ExecuteError, match="no network for memorisation"):
        evaluate_execute(EvaluateExecuteSettings(task="memorisation"), weights=small)


def test_reading_can_be_stopped(small: Path) -> None:
    engine = execute(None, ExecuteSettings(count=50), weights=small, device="cpu")
    for _ in range(5):
        next(engine)
    engine.close()
    assert torch.is_grad_enabled()


def test_measuring_a_file_tells_every_level(small: Path) -> None:
    engine = evaluate_execute(EvaluateExecuteSettings(programs=20, nesting=2), weights=small, device="cpu")
    steps = []
    try:
        while True:
            steps.append(next(engine))
    except StopIteration as end:
        report = end.value
    assert set(report.tables["programs"]) == set(itertools.starmap(Level, [(1, 1), (2, 1), (1, 2), (2, 2)]))
    assert set(report.tables["addition"]) == {Level(1, 1), Level(2, 1)}
    assert steps[-1].metrics["programs_2_2_whole"] == report.tables["programs"][Level(2, 2)].whole
    assert json.dumps(report.provenance.settings)
    assert set(report.calibrations) == {"programs", "addition"}
    assert sum(one.answers for one in report.calibrations["programs"].bins) == 80
    assert report.text.index("programs") < report.text.index("addition")
    assert report.text.count("Expected calibration error") == 2
    assert sum(found.answers for found in report.operations.values()) == 20  # of length 2, with one operation
    assert "| one operation | programs | % |" in report.text
    assert steps[-1].metrics["addition_calibration_error"] == report.calibrations["addition"].error
