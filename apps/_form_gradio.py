"""Gradio, as every page wants it: it reports nothing, and what it is given lies where nobody else may read."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, which would report its use
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr


def _private_folder() -> Path:
    """Where uploads and what is shown lie while this process lives; nobody else may read them there."""
    folder = Path(tempfile.mkdtemp(prefix="creative-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


SITE = _private_folder()

__all__ = ["SITE", "gr"]
