"""From a field to its widget: one for every kind that ``creative.settings.describe`` tells of."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps._brush import is_painting, painting_of, save_painting
from apps._form_brush import build_brush, palette_of
from apps._form_gradio import SITE, gr
from apps._gathered import gathered
from creative.pretrained import SUGGESTED
from creative.settings import NAMED, Description


@dataclass(frozen=True)
class Widget:
    """What a field looks like: one component or two, and how their values become the field's and back."""

    field: Description
    components: tuple[Any, ...]
    read: Callable[..., Any]
    """The components' values to the field's; None for nothing given."""
    write: Callable[[Any], tuple[Any, ...]]
    """The field's value to the components'."""
    second: str = "picture"
    """What the second component is, for those who call the page from a program."""
    show: Callable[[Path], tuple[Any, ...]] = lambda path: (str(path),)
    """A file to the components' values, where an example gives one."""

    @property
    def names(self) -> list[str]:
        """Of the components as parameters."""
        return [self.field.name, *(f"{self.field.name}_{self.second}" for _ in self.components[1:])]


def _same(value: Any) -> Any:
    return value


def _single(
    field: Description, component: Any, read: Callable[[Any], Any] = _same, write: Callable[[Any], Any] = _same
) -> Widget:
    return Widget(field, (component,), read, lambda value: (write(value),))


def _unchecked(component: Any) -> Any:
    """Leave the checking of numbers to the settings, whose sentence names the field."""
    component.preprocess = _same
    return component


def build_widget(field: Description, *, batch: bool = False, output: Path = SITE) -> Widget:
    """The widget that a field deserves, rendered into the current layout.

    Args:
        field: the description.
        batch: whether its many files are jobs of their own.
        output: the folder for results, where what is painted is kept as well.
    """
    texts = {"label": field.title, "info": field.description or None}
    if field.file == "style":
        return _styles(field) if field.many else _style(field)
    if field.file in NAMED:
        return _named(field)
    if field.widget == "brush":
        return _brush(field, output)
    if field.file in {"picture", "mask"} and (batch or not field.many):
        return _pictures(field) if batch else _picture(field)
    if field.file == "pictures" and not field.many:
        return _collection(field)
    if field.file == "folder":
        return _single(field, gr.Textbox(**texts, value=_text(field.default)), lambda text: text or None, _text)
    if field.file is not None:
        return _files(field)
    if field.choices is not None:
        return _choice(field, texts)
    if field.type is bool:
        return _single(field, gr.Checkbox(**texts, value=bool(field.default)), write=bool)
    if field.type in {int, float} and not field.many:
        return _number(field, texts)
    if field.many:
        several = gr.Textbox(**texts, value=_listed(field.default), placeholder="Separated by commas")
        return _single(field, several, _unlisted(field.type), _listed)
    if field.suggestions:
        shown = [(spoken(word), word) for word in field.suggestions]
        shown[:0] = [("As usual", "")] if field.optional and field.default is None else []
        value = "" if field.optional and field.default is None else field.default
        known = gr.Dropdown(shown, value=value, **texts, allow_custom_value=True)
        return _single(
            field, known, lambda text: (text or None) if field.optional or field.required else text or "",
            lambda text: text or ("" if field.optional else None),
        )  # fmt: skip
    lines = {"prompt": 3, "code": 5}.get(field.widget, 1)
    kind = "code" if field.widget == "code" else None
    box = gr.Textbox(**texts, value=_text(field.default), lines=lines, max_lines=max(lines, 12), elem_classes=kind)
    return _single(field, box, lambda text: (text or None) if field.optional or field.required else text or "", _text)


def _choice(field: Description, texts: Mapping[str, Any]) -> Widget:
    assert field.choices is not None
    choices = [
        (_spoken_choice(str(choice)) if str(choice).islower() else str(choice), choice) for choice in field.choices
    ]
    if field.many:
        return _single(
            field, gr.CheckboxGroup(choices, value=list(field.default or ()), **texts), tuple, lambda v: list(v or ())
        )
    if field.optional:
        choices.insert(0, ("As usual", ""))
    value = field.default if field.default is not None else choices[0][1]
    kind = gr.Radio if len(choices) <= 4 else gr.Dropdown
    return _single(
        field, kind(choices, value=value, **texts), lambda v: None if v == "" else v, lambda v: "" if v is None else v
    )


def _spoken_choice(choice: str) -> str:
    """``a_to_b`` as ``A to B``, ``both-ways`` as ``Both ways``."""
    text = choice.replace("_", " ").replace("-", " ").capitalize().replace("Cyclegan", "CycleGAN")
    return re.sub(r"\b\w\b", lambda letter: letter[0].upper(), text) if re.match(r"[ab] to [ab]$", text, re.I) else text


def _number(field: Description, texts: Mapping[str, Any]) -> Widget:
    whole, low, high = field.type is int, field.minimum, field.maximum
    if field.widget == "seed":
        with gr.Row(elem_classes="seed", equal_height=True):
            number = _unchecked(gr.Number(**texts, value=field.default, precision=0, scale=4, min_width=120))
            dice = gr.Button("Roll", size="sm", scale=1, min_width=64, elem_classes="dice")
        dice.click(None, None, number, js="() => Math.floor(Math.random() * 4294967296)", api_visibility="private")
        return _single(field, number)
    if field.optional:  # a number box cannot be empty
        box = gr.Textbox(**texts, value=_text(field.default), placeholder="None", max_lines=1)
        return _single(field, box, lambda text: next(iter(_unlisted(field.type)(text)), None), _text)
    step = field.step or (1 if whole else None)
    if low is not None and high is not None and field.widget != "number":
        step = step or (high - low) / 100
        if field.widget == "slider" or (high - low) / step <= 200:
            return _single(field, _unchecked(gr.Slider(low, high, value=field.default, step=step, **texts)))
    return _single(
        field,
        _unchecked(
            gr.Number(**texts, value=field.default, precision=0 if whole else None, step=step or 1, min_width=120)
        ),
    )


def _picture(field: Description) -> Widget:
    return _single(field, _drop(field), lambda path: path or None, lambda _: None)


def _pictures(field: Description) -> Widget:
    """A picture to start with, and a place for more of them."""
    first = _drop(field)
    with gr.Accordion("Several at once", open=False, elem_classes="several-files"):
        more = gr.File(
            label="More of them", file_count="multiple", file_types=["image"], height=120, elem_classes="files"
        )
    return Widget(
        field,
        (first, more),
        lambda path, paths: (*([path] if path else []), *(paths or ())) or None,
        lambda _: (None, None),
        "more",
    )


def _brush(field: Description, output: Path) -> Widget:
    """A painting, or a file."""
    given, painted = build_brush(field)
    given.preprocess = _path

    def read(path: str | None, text: str | None) -> Any:
        return path or save_painting(text, output, field.name, palette_of(field))

    def write(value: Any) -> tuple[Any, ...]:
        return None, painting_of(Path(value)) if value else ""

    def show(path: Path) -> tuple[Any, ...]:
        return write(path) if is_painting(path, palette_of(field)) else (str(path), "")

    return Widget(field, (given, painted), read, write, "painted", show)


def _drop(field: Description) -> Any:
    camera = field.widget == "camera"
    picture = gr.Image(
        label=_title(field), type="filepath", sources=["upload", *(["webcam"] if camera else []), "clipboard"],
        height=210, buttons=[], webcam_options=gr.WebcamOptions(mirror=False) if camera else None,
        placeholder=f"{field.title}\ndrop, paste or click",
        elem_classes=["picture", field.file or "", f"of-{field.name}"],
    )  # fmt: skip
    picture.preprocess = _path  # the file as it came: our own opening knows its dangers and tells them
    return picture


def _files(field: Description) -> Widget:
    kinds = {"picture": ["image"], "mask": ["image"], "text": ["text"], "weights": [".safetensors", ".pth", ".pt"]}
    kinds["video"] = ["video", ".gif"]
    files = gr.File(
        label=_title(field), file_count="multiple" if field.many else "single", height=110,
        file_types=kinds.get(field.file or ""), type="filepath", elem_classes="files",
    )  # fmt: skip
    return _single(
        field, files, lambda paths: (tuple(paths) if field.many else paths) if paths else None, lambda _: None
    )


def _collection(field: Description) -> Widget:
    """A zip of pictures, the pictures themselves, or a folder on the machine that serves the page."""
    given = gr.File(
        label=_title(field), file_count="multiple", file_types=[".zip", "image"], height=130, type="filepath",
        elem_classes=["files", "collection"],
    )  # fmt: skip
    folder = gr.Textbox(
        label=f"or a folder, {field.title}", show_label=False, placeholder="or a folder on this machine", max_lines=1
    )
    return Widget(
        field,
        (given, folder),
        lambda paths, text: gathered(paths, SITE, field.name) if paths else text.strip() or None if text else None,
        lambda _: (None, ""),
        "folder",
    )


def _style(field: Description) -> Widget:
    """Presets to pick by their swatches, and a painting of one's own, which counts where there is one."""
    names = preset_names()
    presets = gr.Radio(
        preset_choices(field, {name: spoken(name) for name in names}), value=names[0] if names else None,
        label=field.title, info="Pick one, or give a painting of your own below", elem_classes="swatches",
        visible=bool(names),
    )  # fmt: skip
    own = gr.Image(
        label=f"{field.title} of your own", type="filepath", sources=["upload", "clipboard"], height=130, buttons=[],
        placeholder="A painting of your own: drop, paste or click", elem_classes=["picture", "own", f"of-{field.name}"],
    )  # fmt: skip
    own.preprocess = _path
    presets.input(None, None, own, js="() => null", api_visibility="private")
    own.upload(None, None, presets, js="() => null", api_visibility="private")
    return Widget(
        field,
        (presets, own),
        lambda name, path: path or name or None,
        lambda value: (value if value in preset_names() else "" if field.optional and not value else None, None),
        show=lambda path: (None, str(path)),
    )


def _styles(field: Description) -> Widget:
    """Several styles: presets by name, and files."""
    presets = gr.Dropdown(
        [(spoken(name), name) for name in preset_names()], multiselect=True, label=field.title, info=field.description
    )
    files = gr.File(
        label=f"{field.title} of your own",
        file_count="multiple",
        file_types=["image"],
        height=110,
        elem_classes="files",
    )
    return Widget(
        field,
        (presets, files),
        lambda names, paths: (*(names or ()), *(paths or ())),
        lambda value: (list(value or ()), None),
    )


OWN = frozenset({"translator", "painter", "diffuser"})
"""Kinds of trained networks that may be made on a page."""
_NOBODY = {
    "captioner": "Whichever knows the picture",
    "painter": "As the style has it",
    "diffuser": "The bundled one",
}
"""What it means that none of a kind is given, where that is more than none."""
PRETRAINED = {"captioner": {name: f"{title}, downloaded once" for name, title in SUGGESTED.items()}}
"""Networks of others that can be fetched, by kind and name; any other name can be written too."""


def _named(field: Description) -> Widget:
    """Trained networks by name, and the file of one of one's own, which counts where there is one."""
    kind = str(field.file)
    titles, choices = trained_titles(kind), trained_choices(field)
    default = field.default or (choices[0][1] if choices else None)
    free = kind in PRETRAINED  # any other name may be written
    known = gr.Dropdown(
        choices, value=default if field.optional or default in titles else None, label=field.title,
        info=field.description, elem_classes=[kind], allow_custom_value=free,
    )  # fmt: skip
    with gr.Accordion(f"A {kind} of your own", open=False, elem_classes="advanced"):
        own = gr.File(
            label=f"The file of a {kind}, if any", height=120, elem_classes="files",
            file_types=[".safetensors", *([".pth"] if kind == "translator" else [])],
        )  # fmt: skip
    return Widget(
        field,
        (known, own),
        lambda name, path: path or name or None,
        lambda value: (
            value if value in trained_titles(kind) or (free and value) else "" if field.optional else default,
            None,
        ),
        "file",
    )


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path


def _title(field: Description) -> str:
    return field.title if field.required else f"{field.title}, if any"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _listed(value: Any) -> str:
    return ", ".join(str(one) for one in value or ())


def _unlisted(kind: type) -> Callable[[str | None], tuple[Any, ...]]:
    """Text to values of a kind; what is not one is left as text, for the settings to name."""

    def parse(word: str) -> Any:
        with contextlib.suppress(ValueError):
            return kind(word)
        return word

    return lambda text: tuple(parse(word.strip()) for word in _WORDS.findall(text or "") if word.strip())


_WORDS = re.compile(r"(?:\{[^}]*\}?|@\s*\d+\s*,|[^,])+")
"""What stands between commas, but for those of ``{3=1, 7=2}`` and of ``@4,5``."""


def spoken(name: str) -> str:
    """A preset's name as a title."""
    return name.replace("-", " ").capitalize()


def preset_names() -> list[str]:
    """Of the presets that there are now."""
    from creative.weights import list_presets

    return list(list_presets())


def preset_choices(field: Description, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a style's field offers of presets, titles by name: titles and names, and none where none may be given."""
    return [*((title, name) for name, title in titles.items()), *([("None of them", "")] if field.optional else [])]


def trained_choices(field: Description) -> list[tuple[str, str]]:
    """The trained networks that a field offers: titles and names."""
    kind = str(field.file)
    known = {**trained_titles(kind), **PRETRAINED.get(kind, {})}
    nobody = [(_NOBODY.get(kind, "None"), "")] if field.optional else []
    return [*nobody, *((title, name) for name, title in known.items())]


def trained_titles(kind: str) -> dict[str, str]:
    """What each trained network that can be given by name is, by its name; only those that are here."""
    from creative.trained import list_trained
    from creative.weights import REGISTRY, locate

    names = [name for name in list_trained(kind) if name not in REGISTRY or locate(name) is not None]
    return {name: REGISTRY[name].title.removeprefix("A voice: ") if name in REGISTRY else name for name in names}
