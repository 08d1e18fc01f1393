"""Settings: declared once, read by the command line, the form, the schema, the saved file and the docs.

A settings class is a frozen pydantic model. Each field states its default, bounds, title and description, whether it is
advanced, and, where the type does not say it, the widget it deserves.

    class StylizeSettings(Settings):
        size: int = Field(512, ge=64, le=8192, title="Size", description="Longest side of the result, pixels")

    StylizeSettings(size=3)   # SettingsError: size must be at least 64, but is 3 (longest side of the result, pixels).
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

Widget = Literal["auto", "prompt", "code", "camera", "seed", "slider", "number", "brush"]
"""What a form shows where the type does not tell; ``brush``: a picture or a mask that can be painted as well."""
FileKind = Literal[
    "picture",
    "mask",
    "style",
    "video",
    "text",
    "voice",
    "translator",
    "captioner",
    "painter",
    "diffuser",
    "captions",
    "weights",
    "folder",
    "pictures",
    "any",
]
NAMED: frozenset[str] = frozenset({"voice", "translator", "captioner", "painter", "diffuser"})
"""Kinds of file that are trained networks, and may be given by a name; see ``creative.trained.list_trained``."""


@dataclass(frozen=True, slots=True)
class FileOf:
    """Marks a field as a file of one kind: the form offers an upload, the command line takes a path."""

    kind: FileKind


PictureFile = Annotated[Path, FileOf("picture")]
MaskFile = Annotated[Path, FileOf("mask")]
VideoFile = Annotated[Path, FileOf("video")]
TextFile = Annotated[Path, FileOf("text")]
WeightsFile = Annotated[Path, FileOf("weights")]
Folder = Annotated[Path, FileOf("folder")]
Pictures = Annotated[Path, FileOf("pictures")]
"""A folder of pictures, or a zip of them."""
StyleName = Annotated[str, FileOf("style")]
"""A picture's path or the name of a style preset."""
VoiceName = Annotated[str, FileOf("voice")]
"""A voice's path or the name of a bundled one."""
TranslatorName = Annotated[str, FileOf("translator")]
"""The path of a network that translates pictures, or the name of a bundled one or one's own."""
CaptionerName = Annotated[str, FileOf("captioner")]
"""The path of a network that describes pictures, or the name of a bundled one or one's own."""
PainterName = Annotated[str, FileOf("painter")]
"""The path of a network that paints in one pass, or the name of a bundled one or one's own."""
DiffuserName = Annotated[str, FileOf("diffuser")]
"""The path of a diffusion network of the suite's own kind, or the name of a bundled one or one's own."""


class SettingsError(ValueError):
    """A setting has a value it cannot have. The message is one sentence for a person."""


def Field(  # noqa: N802 (reads like pydantic's own Field, which it wraps)
    default: Any = ...,
    *,
    title: str,
    description: str,
    advanced: bool = False,
    widget: Widget = "auto",
    step: float | None = None,
    positional: bool = False,
    over: str | None = None,
    suggestions: tuple[str, ...] = (),
    **constraints: Any,
) -> Any:
    """A pydantic field that a form and a command line can be made from.

    Args:
        default: the value when nobody says otherwise; left out, the field is required.
        title: two or three words, for a label.
        description: half a sentence with the unit, for help.
        advanced: hidden until asked for.
        widget: what the form shows where the type alone does not tell.
        step: the step of a slider.
        positional: given without a flag on the command line.
        over: of a field with the widget ``brush``, the field whose picture is painted over; None for a blank canvas.
        suggestions: words that a form offers for a text that may be another one.
        constraints: pydantic's own (``ge``, ``le``, ``min_length``...).
    """
    extra: dict[str, Any] = {"advanced": advanced, "widget": widget, "step": step, "positional": positional}
    extra |= {"over": over} if over is not None else {}
    extra |= {"suggestions": list(suggestions)} if suggestions else {}
    return pydantic.Field(default, title=title, description=description, json_schema_extra=extra, **constraints)


class Record(BaseModel):
    """What settings and inputs share: frozen, no unknown names, no NaN, errors in one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(sentence(error, type(self))) from None

    def changed(self, **values: Any) -> Self:
        """A copy with some values changed, validated again."""
        return type(self)(**{**self.model_dump(), **values})


class Inputs(Record):
    """The files and texts that an action is given, as paths and names; loading them is the action's business."""


class Settings(Record):
    """How an action is to be done: numbers, choices and words only, so that it fits into a saved file's metadata."""

    seed: int = Field(0, ge=0, le=2**32 - 1, title="Seed", widget="seed", description="Same seed, same result")


@dataclass(frozen=True, slots=True)
class Description:
    """One field, as a form, a command line or a table needs it."""

    name: str
    title: str
    description: str
    default: Any
    required: bool
    optional: bool
    """May be None."""
    many: bool
    """A tuple of values of ``type``."""
    type: type
    choices: tuple[Any, ...] | None
    file: FileKind | None
    minimum: float | None
    maximum: float | None
    step: float | None
    advanced: bool
    widget: Widget
    positional: bool
    over: str | None = None
    """Of a ``brush``, the field whose picture is painted over."""
    suggestions: tuple[str, ...] = ()


def describe(record: type[Record]) -> Iterator[Description]:
    """Every field of a settings or inputs class, in the order of declaration, the seed last."""
    names = sorted(record.model_fields, key=lambda name: name == "seed")
    for name in names:
        yield _describe(name, record.model_fields[name])


def _describe(name: str, field: FieldInfo) -> Description:
    annotation, metadata, optional, many = field.annotation, list(field.metadata), False, False
    while True:  # peel Optional, tuple and Annotated until the plain type is left
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation, metadata = arguments[0], metadata + list(arguments[1:])
        elif origin in (Union, types.UnionType):
            optional = type(None) in arguments
            annotation = next(argument for argument in arguments if argument is not type(None))
        elif origin in (tuple, list):
            annotation, many = arguments[0], True
        else:
            break
    choices = get_args(annotation) if get_origin(annotation) is Literal else None
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}

    def bound(*names: str) -> float | None:
        return next((getattr(m, n) for m in metadata for n in names if getattr(m, n, None) is not None), None)

    return Description(
        name=name,
        title=field.title or name.replace("_", " ").capitalize(),
        description=field.description or "",
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        required=field.is_required(),
        optional=optional,
        many=many,
        type=type(choices[0]) if choices else annotation,  # type: ignore[arg-type]
        choices=choices,
        file=next((m.kind for m in metadata if isinstance(m, FileOf)), None),
        minimum=bound("ge", "gt"),
        maximum=bound("le", "lt"),
        step=extra.get("step"),
        advanced=extra.get("advanced", False),
        widget=extra.get("widget", "auto"),
        positional=extra.get("positional", False),
        over=extra.get("over"),
        suggestions=tuple(extra.get("suggestions", ())),
    )


def sentence(error: ValidationError, record: type[Record]) -> str:
    """pydantic's findings as one sentence: what happened, what was expected."""
    return " ".join(_finding(dict(found), record) for found in error.errors(include_url=False))


def _finding(found: dict[str, Any], record: type[Record]) -> str:
    place = found["loc"]
    name = str(place[0]) if place else ""
    known = record.model_fields.get(name)
    help_text = f" ({known.description[0].lower()}{known.description[1:]})" if known and known.description else ""
    value, limits, kind = _short(found["input"]), found.get("ctx", {}), found["type"]
    bounds = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
    bounds |= {"greater_than": ("more than", "gt"), "less_than": ("less than", "lt")}
    if kind in bounds:
        words, key = bounds[kind]
        return f"{name} must be {words} {limits[key]}, but is {value}{help_text}."
    if kind == "literal_error":
        return f"{name} must be {limits['expected']}, but is {value}.{_near(found['input'], known)}"
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, record.model_fields, 1)
        return f"There is no setting {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
    if kind == "missing":
        return f"{name} is missing{help_text}."
    if kind == "finite_number":
        return f"{name} must be a finite number, but is {value}{help_text}."
    if kind == "string_pattern_mismatch":
        return f"{name} cannot be {value}{help_text}."
    if kind == "value_error":
        return str(limits["error"])
    kinds = {"int_parsing": "a whole number", "int_from_float": "a whole number", "int_type": "a whole number"}
    kinds |= {"float_parsing": "a number", "float_type": "a number", "bool_parsing": "true or false"}
    if kind in kinds:
        return f"{name} must be {kinds[kind]}, but is {value}{help_text}."
    return f"{name}: {found['msg']}, but is {value}{help_text}."


def _near(value: Any, field: FieldInfo | None) -> str:
    choices = get_args(field.annotation) if field is not None else ()
    close = difflib.get_close_matches(str(value), [c for c in choices if isinstance(c, str)], 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
