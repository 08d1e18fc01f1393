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

import torch
from torch import Tensor, nn

from creative.blocks.gan import GANError, Generator
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

    Height and width are free, in multiples of 4. What the model is, is in the file's metadata.

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

    rows, columns = torch.export.Dim("rows", min=2), torch.export.Dim("columns", min=2)
    picture = torch.rand(1, 3, _SIDE, _SIDE + 16)
    with _quiet():
        program = torch.onnx.export(
            _InUnitRange(translator.generator),
            (picture,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["translation"],
            dynamic_shapes={"picture": {2: 4 * rows, 3: 4 * columns}},
        )
    assert program is not None
    proto = program.model_proto
    made = translator.describe("export-onnx", settings)
    onnx.helper.set_model_props(
        proto,
        {
            "creative": made.to_json(),
            "from": translator.domains[0],
            "to": translator.domains[1],
            "input": json.dumps({"picture": "(1, 3, H, W) RGB in [0, 1], H and W multiples of 4"}),
        },
    )
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


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
