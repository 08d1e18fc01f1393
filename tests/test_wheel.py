"""A wheel works outside the checkout: `creative` paints with the bundled weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def call(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripts of an environment that holds our wheel, and the packages it needs from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    call(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    scripts = environment / "bin"
    packages = next((environment / "lib").glob("python*")) / "site-packages"
    (packages / "needed.pth").write_text(
        sysconfig.get_path("purelib")
    )  # a plain path: our own editable install stays out
    wheel = next(folder.glob("creative-*.whl"))
    call(*pip, f"--python={scripts / 'python'}", "install", "-q", "--no-deps", wheel, cwd=folder)
    return scripts


@pytest.mark.slow
def test_wheel_paints_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    home = call(installed / "python", "-c", "import creative; print(creative.__file__)", cwd=tmp_path)
    assert str(ROOT) not in home
    photo = "from PIL import Image; Image.linear_gradient('L').convert('RGB').save('photo.png')"
    call(installed / "python", "-c", photo, cwd=tmp_path)
    command = ("style", "photo.png", "starry-night", "--size", "96", "--iterations", "2", "-o", "painted.png", "--json")
    report = json.loads(call(installed / "creative", *command, cwd=tmp_path))
    assert Path(report["output"]).name == "painted.png"
    assert (tmp_path / "painted.png").stat().st_size > 1000
