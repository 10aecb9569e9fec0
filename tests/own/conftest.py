"""A small package of somebody's own, beside the user or installed by pip from a wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LAB = Path(__file__).parent / "ownlab"
ENTRY_POINTS = """
[nnexp.optimizers]
heavy_ball = ownlab.minimizers:heavy_ball
[nnexp.activations]
softsign = ownlab.functions:softsign
[nnexp.datasets]
cultivars = ownlab.sets:wine
[nnexp.tasks]
linear = ownlab.models:linear
"""


@pytest.fixture
def beside(with_store):
    """The command in a folder in which the package lies."""
    shutil.copytree(LAB / "ownlab", with_store.folder / "ownlab", ignore=shutil.ignore_patterns("__pycache__"))
    return with_store


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("installed")
    wheel, site = folder / "ownlab-1.2-py3-none-any.whl", folder / "site-packages"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: ownlab\nVersion: 1.2\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": ENTRY_POINTS,
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted((LAB / "ownlab").glob("*.py")):
            archive.write(path, f"ownlab/{path.name}")
        for name, text in about.items():
            archive.writestr(f"ownlab-1.2.dist-info/{name}", text)
        names = [*archive.namelist(), "ownlab-1.2.dist-info/RECORD"]
        archive.writestr("ownlab-1.2.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel]
    subprocess.run(words, check=True)
    return site


@pytest.fixture
def installed(with_store, site, monkeypatch):
    """The command where the package is installed."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return with_store


@pytest.fixture
def with_presets(beside, monkeypatch):
    """The command where the package lies, and a folder of presets is named."""
    shutil.copytree(LAB / "presets", beside.folder / "presets")
    monkeypatch.setenv("NNEXP_CONFIG_DIR", "presets")
    return beside
