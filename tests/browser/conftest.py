"""A real sweep, the real server on it, and a real browser: each made once for all tests of this folder."""

import importlib.util
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Nnexp
from tests.tools.waiting import HANGING

from . import stores

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync""".split()
# What the UI asks or shows on a first visit, and the kind of work it is to show.
FIRST_VISIT = """
try {
    localStorage.clear();
    localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
    localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
    localStorage.setItem("mlflow.detectIssues.guidanceShown_v1", "true");
} catch (error) {}  // a sandboxed frame has no storage
"""
WIDTH, HEIGHT = 1900, 1700  # what is off the screen is not in the page
SWEEP = ["-m", "data=digits", "model.l2=0.1,1,10", "optimizer.maxfun=30", "training.images_every=5"]


@pytest.fixture(scope="session")
def chromium():
    """The browser's program; without it the tests are left out, but not in CI, which is to have it."""
    found = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if found and importlib.util.find_spec("playwright"):
        return found
    reason = "needs Chromium and Playwright: apt-get install chromium; pip install -e '.[browser]'"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser(chromium, server, tmp_path_factory):
    """Chromium with an empty profile, which keeps the UI's compiled scripts from one page to the next."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium,
            args=FLAGS,
            viewport={"width": WIDTH, "height": HEIGHT},
        )
        context.add_init_script(FIRST_VISIT)
        yield context
        context.close()


@pytest.fixture(scope="session")
def screenshots():
    """Where the pictures go that the tests take."""
    folder = Path(os.environ.get("NNEXP_SCREENSHOTS", ROOT / "outputs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def command(chromium, cache, tmp_path_factory):
    """The command in a folder of its own, with an empty store."""
    folder = tmp_path_factory.mktemp("browser")
    cache.mkdir(exist_ok=True)
    (folder / "data").symlink_to(cache)
    command = Nnexp(folder, cache)
    assert command.store().experiment_id
    return command


@pytest.fixture(scope="session")
def server(command):
    """`nnexp ui` on the store, starting."""
    process = command.start("ui", "--port", "0")
    yield process
    process.terminate()
    process.communicate(timeout=HANGING)


@pytest.fixture(scope="session")
def swept(command, server):
    """A sweep that has ended."""
    done = command(*SWEEP)
    assert done.status == 0, done.err
    return done


@pytest.fixture(scope="session")
def experiments(command, swept):
    """The sweep's experiment and the two with half of it missing, by their names."""
    return stores.make(command.store())


@pytest.fixture(scope="session")
def served(server):
    """What `nnexp ui` says to open."""
    addresses = {}
    for line in server.stdout:
        if line.startswith("Ctrl-C"):
            return addresses
        if found := re.fullmatch(r"Open (\S+)  (.*)\n", line):
            addresses[found[2]] = found[1]
    pytest.fail(f"the server did not start: {server.stderr.read()}")


@pytest.fixture
def page(browser):
    """An empty tab."""
    tab = browser.new_page()
    yield tab
    tab.close()
