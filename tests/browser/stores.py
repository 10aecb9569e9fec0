"""The experiments that the browser looks at: a real sweep, and copies of it that lack half of what is looked for.

The two halves make a whole, so that each thing is missing in one copy and there in the other.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric, Param

from nnexp.runs.directory import RunDirectory
from nnexp.runs.tags import KIND, PARENT, SWEEP, UID
from nnexp.tasks.network.task import Network
from nnexp.tracking import views
from nnexp.tracking.notes import NOTE
from nnexp.tracking.store import Store

REPORT = "report.html"
SMALL_REPORT = "<!doctype html><title>report</title><h1>Report of the sweep</h1><svg width='40' height='40'></svg>"
PICTURES = ("confusion_matrix.png", "hidden_layer.png", "cost_curves.png")
HALVES = {
    "one-half": {"params", "test metrics", "pictures", "note", "model", "images", "report"},
    "other-half": {"parent", "train metrics", "texts", "per class", "dataset"},
}


@dataclass
class Experiment:
    """A sweep in an experiment of its own."""

    store: Store
    sweep: str
    parent: Any
    runs: list[Any]
    report_text: str
    lacks: set[str] = field(default_factory=set)

    def runs_page(self, base, *, sweep=None, mode=""):
        return views.address(self.store, sweep, self.parent.info.run_id, base=base, mode=mode)

    def page(self, base, run, rest=""):
        return f"{base}/#/experiments/{self.store.experiment_id}/runs/{run.info.run_id}{rest}"

    def compare_page(self, base):
        runs = json.dumps([run.info.run_id for run in self.runs])
        return f"{base}/#/compare-runs?runs={runs}&experiments={json.dumps([self.store.experiment_id])}"

    def history(self, run, key):
        return self.store.client.get_metric_history(run.info.run_id, key)


def folder_of(run):
    """Where a run's artifacts are."""
    return Path(urlparse(run.info.artifact_uri).path)


def make(store):
    """The sweep of a store and its two copies."""
    client, runs = store.client, []
    for run in client.search_runs([store.experiment_id], order_by=["attributes.start_time"]):
        if run.data.tags.get(KIND) == "sweep":
            parent = run
        else:
            runs.append(run)
    if not (folder_of(parent) / REPORT).exists():
        client.log_text(parent.info.run_id, SMALL_REPORT, REPORT)
    text = (folder_of(parent) / REPORT).read_text()
    whole = Experiment(store, parent.data.tags[SWEEP], parent, runs, text)
    return {"whole": whole} | {name: copy(whole, name, lacks) for name, lacks in HALVES.items()}


def copy(source, name, lacks):
    """An experiment like another one, but for what it is to lack."""
    store = Store(source.store.uri, name)
    parent = copy_run(source.store, source.parent, store, lacks, None)
    runs = [copy_run(source.store, run, store, lacks, parent) for run in source.runs]
    plan = RunDirectory(folder_of(source.parent)).plan
    shown = Network().presentation
    views.keep_default(store, shown)
    views.keep_sweep(store, plan, parent, shown, run_ids=runs, ranked_by="accuracy/test")
    made = [store.client.get_run(run_id) for run_id in (parent, *runs)]
    return Experiment(store, source.sweep, made[0], made[1:], source.report_text, lacks)


def copy_run(source, run, store, lacks, parent):
    """One run."""
    client = store.client
    tags = {key: value for key, value in run.data.tags.items() if key != UID and is_kept(key, lacks)}
    if PARENT in tags:
        tags[PARENT] = parent
    made = client.create_run(store.experiment_id, tags=tags, run_name=run.info.run_name)
    run_id = made.info.run_id
    metrics = [
        metric
        for key in run.data.metrics
        if is_kept(key, lacks)
        for metric in source.client.get_metric_history(run.info.run_id, key)
    ]
    params = [Param(key, value) for key, value in run.data.params.items() if "params" not in lacks]
    client.log_batch(run_id, [Metric(m.key, m.value, m.timestamp, m.step) for m in metrics], params)
    if "dataset" not in lacks and run.inputs.dataset_inputs:
        client.log_inputs(run_id, datasets=run.inputs.dataset_inputs)
    if "model" not in lacks and run.outputs.model_outputs:
        copy_model(client, store, run_id, metrics)
    for path in folder_of(run).iterdir():
        if is_kept(path.name, lacks):
            copied = shutil.copytree if path.is_dir() else shutil.copy
            folder_of(made).mkdir(parents=True, exist_ok=True)
            copied(path, folder_of(made) / path.name)
    client.set_terminated(run_id)
    return run_id


def copy_model(client, store, run_id, metrics):
    """A model of a run with the run's final metrics, without its files."""
    model = client.create_logged_model(store.experiment_id, name="model", source_run_id=run_id)
    step = max(metric.step for metric in metrics)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
    final = [
        Metric(m.key, m.value, m.timestamp, m.step, model_id=model.model_id, run_id=run_id)
        for m in metrics
        if m.step == step
    ]
    client.log_batch(run_id, final)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


BELONGS = {
    NOTE: "note",
    PARENT: "parent",
    "mlflow.loggedImages": "images",
    "mlflow.loggedArtifacts": "per class",
    "images": "images",
    "per_class.json": "per class",
    "classification_report.txt": "texts",
    REPORT: "report",
    **dict.fromkeys(PICTURES, "pictures"),
}


def is_kept(name, lacks):
    """Whether a tag, a metric or a file at the root belongs to what is not lacking."""
    part = name.rpartition("/")[2] + " metrics" if "/" in name else BELONGS.get(name)
    return part not in lacks
