"""Compare: one photo painted in every way, side by side, with what each took."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from apps._app import Action, App
from apps._samples import photos_to_try
from creative.options.compare import CompareInputs, CompareSettings
from creative.progress import Step


def _compare(inputs: CompareInputs, settings: CompareSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.compare import compare
    from creative.images import open_image

    style, title = _style(inputs.style)
    return compare(
        open_image(inputs.photo),
        style,
        settings,
        style_title=title,
        domain=inputs.domain,
        painter=inputs.painter,
        model=inputs.model,
        diffuser=inputs.diffuser,
        judge_weights=inputs.judge_weights,
        device=device,
    )


def _style(name: str | None) -> tuple[Any, str]:
    """The painting or the preset, and what it is called."""
    from creative.images import open_image
    from creative.style_presets import load_preset

    if name is None:
        return None, ""
    path = Path(name)
    if path.is_file() and path.suffix != ".safetensors":
        return open_image(path), path.stem.replace("_", " ").replace("-", " ")
    preset = load_preset(path if path.is_file() else name)
    return preset, preset.title


def _show(comparison: Any) -> str:
    from apps._compare_html import show_comparison

    return show_comparison(comparison)


def _report(comparison: Any) -> Mapping[str, Any]:
    return dict(comparison.to_json())


APP = App(
    name="compare",
    title="Compare",
    summary="Paint one photo in every way there is, and see them side by side with what each took.",
    actions=(
        Action(
            verb="compare",
            title="Compare",
            summary="Paint one photo in every way there is, and see them side by side with what each took.",
            inputs=CompareInputs,
            settings=CompareSettings,
            start=_compare,
            examples=photos_to_try,
            show=_show,
            over=False,
            report=_report,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
