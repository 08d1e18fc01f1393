"""A generator as an ONNX file, for programs without PyTorch: ONNX Runtime, browsers, phones.

    run(export_onnx("photo2monet.onnx"))
    session = onnxruntime.InferenceSession("photo2monet.onnx")
    painted = session.run(None, {"picture": photo})[0]      # (1, 3, H, W) float32 in [0, 1] -> the same

Needs the extra ``onnx``, which is loaded where it is used.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Generator as Engine
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from creative.blocks.gan import GANError, Generator, UNetGenerator
from creative.engines.cyclegan.translating import Translator, load_translator
from creative.files import check_writable, explain, replacing
from creative.options.translate import BUNDLED_TRANSLATOR, ExportOnnxSettings
from creative.progress import Step

OPSET = 18
"""The version of ONNX's operators: of 2022, which everything in use reads."""
_SIDE = 64  # pixels of the picture that it is traced with


def export_onnx(
    path: str | Path,
    settings: ExportOnnxSettings = ExportOnnxSettings(),  # noqa: B008 (frozen)
    *,
    model: str | Path = BUNDLED_TRANSLATOR,
) -> Engine[Step, None, Path]:
    """Write one direction of a model as an ONNX file: ``picture`` -> ``translation``, (1, 3, H, W) in [0, 1] both.

    Height and width are free: what the network needs is mirrored on and cut off in the file. What the model is, is in
    the file's metadata.

    Args:
        path: of the file.
        settings: which direction.
        model: see ``translate``.

    Raises:
        GANError: at the call: the extra ``onnx`` is not installed, or the file cannot be written there.
        ValueError: at the call, see ``translate``.
    """
    _packages()
    translator = load_translator(model, settings.direction, device="cpu")
    path = Path(path)
    try:
        check_writable(path)
    except OSError as error:
        raise GANError(explain(error, path)) from None
    return _export(path, translator, settings)


def _export(path: Path, translator: Translator, settings: ExportOnnxSettings) -> Engine[Step, None, Path]:
    yield Step(0, 1)
    data = _encoded(translator, settings)
    try:
        with replacing(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise GANError(explain(error, path)) from error
    said = f"{path.name}: {len(data) / 1e6:.1f} MB, from {translator.domains[0]} to {translator.domains[1]}."
    yield Step(1, 1, message=said)
    return path


def _encoded(translator: Translator, settings: ExportOnnxSettings) -> bytes:
    import onnx

    generator = translator.generator
    unit = 2**generator.config.depth if isinstance(generator, UNetGenerator) else 4
    rows, columns = torch.export.Dim("rows", min=2), torch.export.Dim("columns", min=2)
    picture = torch.rand(1, 3, max(_SIDE, 2 * unit), max(_SIDE, 2 * unit) + unit)
    with _quiet():
        program = torch.onnx.export(
            _InUnitRange(generator),
            (picture,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["translation"],
            dynamic_shapes={"picture": {2: unit * rows, 3: unit * columns}},
        )
    assert program is not None
    proto = program.model_proto
    _take_any_size(proto.graph, unit)
    made = translator.describe("export-onnx", settings)
    onnx.helper.set_model_props(
        proto,
        {
            "creative": made.to_json(),
            "from": translator.domains[0],
            "to": translator.domains[1],
            "input": json.dumps({"picture": f"(1, 3, H, W) RGB in [0, 1], H and W at least {generator.min_size}"}),
        },
    )
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def _take_any_size(graph: Any, unit: int) -> None:
    """Let a graph that takes multiples of ``unit`` take any size: mirror the right and lower rims on, and cut them off.

    Differs from the network in PyTorch, whose maps end in part of a pixel there; rims come out otherwise.
    """
    import onnx

    for node in graph.node:
        node.input[:] = ["whole" if name == "picture" else name for name in node.input]
        node.output[:] = ["drawn" if name == "translation" else name for name in node.output]
    around = onnx.parser.parse_graph(
        f"""around (float[1,3,height,width] picture, float[1,3,h,w] drawn) => (float[1,3,height,width] translation)
        <int64[4] around_units = {{1, 1, {unit}, {unit}}}, int64[4] around_none = {{0, 0, 0, 0}},
         int64[2] around_corner = {{0, 0}}, int64[2] around_sides = {{2, 3}}>
        {{
            around_size = Shape (picture)
            around_less = Neg (around_size)
            around_lacking = Mod (around_less, around_units)
            around_pads = Concat <axis = 0> (around_none, around_lacking)
            whole = Pad <mode = "reflect"> (picture, around_pads)
            around_seen = Shape <start = 2> (picture)
            translation = Slice (drawn, around_corner, around_seen, around_sides)
        }}"""
    )
    nodes = [*around.node[:5], *graph.node, *around.node[5:]]
    for into, values in (
        (graph.node, nodes),
        (graph.initializer, [*graph.initializer, *around.initializer]),
        (graph.input, around.input[:1]),
        (graph.output, around.output),
    ):
        kept = [type(value).FromString(value.SerializeToString()) for value in values]
        del into[:]
        into.extend(kept)


class _InUnitRange(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, picture: Tensor) -> Tensor:
        return ((self.generator(picture * 2 - 1) + 1) / 2).clamp(0, 1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter writes its progress to stdout and logs what does not matter here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise GANError("ONNX files need onnx and onnxscript: install them with `pip install creative[onnx]`.") from None
