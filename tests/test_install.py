"""The built wheel, in an empty virtual environment, run from an empty directory."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    [path] = folder.glob("nnexp-*.whl")
    return path


def test_the_wheel_holds_the_package_its_config_and_the_plugin_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {
        "nnexp/cli.py",
        "nnexp/py.typed",
        "nnexp/conf/config.yaml",
        "nnexp/conf/sweep/l2.yaml",
        "hydra_plugins/nnexp_sweeper.py",
    } <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"nnexp", "hydra_plugins"}
    packed = {name for name in names if name.startswith("nnexp/conf/")}
    assert packed == {f"nnexp/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}


def test_the_installed_wheel_runs_from_an_empty_directory(wheel, tmp_path):
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    purelib = environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    target = ["--no-deps", "--quiet", "--target", str(purelib)]
    subprocess.run([sys.executable, "-m", "pip", "install", *target, str(wheel)], check=True)
    # The dependencies come from the environment of the tests, without the checkout that is installed there.
    here = [path for path in sys.path if "site-packages" in path]
    (purelib / "dependencies.pth").write_text("\n".join(here) + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    program = (
        "import sys, nnexp, nnexp.cli as c; print(nnexp.__file__, file=sys.stderr); sys.exit(c.main(sys.argv[1:]))"
    )
    python = str(environment / "bin" / "python")

    def run(*arguments):
        return subprocess.run([python, "-c", program, *arguments], cwd=empty, env=clean, capture_output=True, text=True)

    done = run("experiment=smoke")
    assert done.returncode == 0, done.stderr
    assert str(purelib) in done.stderr
    [result] = empty.glob("outputs/runs/*/result.json")
    assert json.loads(result.read_text())["status"] == "FINISHED"
    sweep = run("-m", "experiment=smoke", "seed=0,1", "dry_run=true")
    assert "1 of 2 jobs would run." in sweep.stdout, sweep.stderr
    assert "l2" in run("--help").stdout
    find = "from importlib.metadata import entry_points; [it] = entry_points(group='hydra.plugins'); print(it.load())"
    found = subprocess.run([python, "-c", find], cwd=empty, env=clean, capture_output=True, text=True)
    assert found.stdout == "<class 'hydra_plugins.nnexp_sweeper.NnexpSweeper'>\n", found.stderr
