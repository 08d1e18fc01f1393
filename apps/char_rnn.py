"""The char-RNN: write in a voice, score a text with one, look inside it, train one of one's own."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from apps._app import Action, App
from apps._texts import CONVERSATION, LETTER, PROGRAM, SCENE, SONNET
from creative.options.char_rnn import (
    CharRNNSettings,
    EvaluateVoiceInputs,
    EvaluateVoiceSettings,
    TrainCharRNNInputs,
)
from creative.options.writing import (
    EvaluateTunesInputs,
    EvaluateTunesSettings,
    NeuronsInputs,
    NeuronsSettings,
    ScoreInputs,
    ScoreSettings,
    WriteInputs,
    WriteSettings,
)
from creative.progress import Step


def _write(inputs: WriteInputs, settings: WriteSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.char_rnn.writing import write

    return write(inputs.prompt, settings, voice=inputs.voice, training_text=inputs.training_text, device=_light(device))


def _score(inputs: ScoreInputs, settings: ScoreSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.char_rnn.scoring import score_text

    text = inputs.file or inputs.text
    return score_text(text, settings, voice=inputs.voice, training_text=inputs.training_text, device=_light(device))


def _look_inside(inputs: NeuronsInputs, settings: NeuronsSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.char_rnn.neurons import look_at_neurons

    return look_at_neurons(inputs.file or inputs.text, settings, voice=inputs.voice, device=_light(device))


def _light(device: str) -> str:
    """Where steps of a single character are computed: they are over before a GPU has begun."""
    return "cpu" if device == "auto" else device


def _train(
    inputs: TrainCharRNNInputs, settings: CharRNNSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.char_rnn.training import train_char_rnn

    return train_char_rnn(inputs.text, settings, out, start_from=inputs.start_from, device=device)


def _evaluate(inputs: EvaluateVoiceInputs, settings: EvaluateVoiceSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.char_rnn.evaluation import evaluate_voice

    return evaluate_voice(inputs.voice, inputs.text, settings, device=device)


def _evaluate_tunes(
    inputs: EvaluateTunesInputs, settings: EvaluateTunesSettings, device: str
) -> Generator[Step, None, Any]:
    from creative.engines.char_rnn.tune_evaluation import evaluate_tunes

    return evaluate_tunes(settings, voice=inputs.voice, collection=inputs.collection, device=_light(device))


def _show_written(written: Any) -> str:
    from apps._writing_html import show_written

    return show_written(written)


def _show_score(score: Any) -> str:
    from apps._writing_html import show_score

    return show_score(score)


def _show_inside(inside: Any) -> str:
    from apps._writing_html import show_inside

    return show_inside(inside)


def _prompts(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    prompts = {
        "A king speaks": ("shakespeare", "KING RICHARD III:\n", ""),
        "To Moscow": ("tolstoy", "On the road to Moscow ", ""),
        "A jig": ("folk-tunes", "X: 1\nT:The Neural Jig\nM:6/8\nK:G\n", "\\n\\n"),
        "A system call": ("c-source", "int\nsys_sleepwalk(void)\n{\n", ""),
        "A lemma": ("latex", "\\begin{lemma}\nLet $X$ be a ", ""),
    }
    return {title: {"voice": voice, "prompt": prompt, "stop": stop} for title, (voice, prompt, stop) in prompts.items()}


def _texts(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    return {
        "A sonnet": {"voice": "shakespeare", "text": SONNET},
        "A letter from the helpdesk": {"voice": "shakespeare", "text": LETTER},
        "A program": {"voice": "c-source", "text": PROGRAM},
    }


def _scenes(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    return {
        "A scene": {"voice": "shakespeare", "text": SCENE},
        "A conversation": {"voice": "tolstoy", "text": CONVERSATION},
        "A program": {"voice": "c-source", "text": PROGRAM},
    }


APP = App(
    name="char_rnn",
    title="Write",
    summary="Write in a voice that has learned from one text, character by character.",
    actions=(
        Action(
            verb="write",
            title="Write",
            summary="Write in a voice that has learned from one text, character by character.",
            inputs=WriteInputs,
            settings=WriteSettings,
            start=_write,
            output="text",
            examples=_prompts,
            show=_show_written,
        ),
        Action(
            verb="score",
            title="Score",
            summary="Show how surprised a voice is at each character of a text, and what of it was copied.",
            inputs=ScoreInputs,
            settings=ScoreSettings,
            start=_score,
            output="text",
            examples=_texts,
            show=_show_score,
        ),
        Action(
            verb="neurons",
            title="Look inside",
            summary="Find the neurons of a voice that follow quotes, brackets, lines or capitals, and watch them read.",
            inputs=NeuronsInputs,
            settings=NeuronsSettings,
            start=_look_inside,
            output="text",
            examples=_scenes,
            show=_show_inside,
        ),
        Action(
            verb="train char-rnn",
            title="Train",
            summary="Train a voice on texts of your own, from nothing or from a bundled voice.",
            inputs=TrainCharRNNInputs,
            settings=CharRNNSettings,
            start=_train,
            output="folder",
        ),
        Action(
            verb="evaluate char-rnn",
            title="Measure",
            summary="Measure how well a voice predicts a text: bits per character, perplexity.",
            inputs=EvaluateVoiceInputs,
            settings=EvaluateVoiceSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
        Action(
            verb="evaluate tunes",
            title="Measure tunes",
            summary="Measure how many of a voice's tunes abc2midi accepts.",
            inputs=EvaluateTunesInputs,
            settings=EvaluateTunesSettings,
            start=_evaluate_tunes,
            output="text",
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
