"""What a store holds of a run, all of it, in a form that can be compared; and what its directory says it should be."""

import hashlib
import json
from pathlib import Path

import mlflow.artifacts

from nnexp.runs.directory import RunDirectory
from nnexp.runs.history import HistoryReader
from nnexp.runs.tags import HEARTBEAT, OWNER, PARENT, REQUEST, RUN_KEY, UID
from nnexp.tracking.store import Store
from nnexp.tracking.uploads import params_of

# What differs from run to run of the same, and what tells only where a run is and who holds it.
OF_THE_MOMENT = (HEARTBEAT, OWNER, PARENT, REQUEST, RUN_KEY, UID)
OF_THE_MOMENT += ("nnexp.claim", "nnexp.directory", "mlflow.note.content", "mlflow.runName")


def runs_of(store: Store, uid: str) -> list[str]:
    """The ids of all runs that were published under a run directory's own id."""
    return [run.run_id for run in store.search(f"tags.`{UID}` = '{uid}'")]


def history(store: Store, run_id: str) -> dict[str, list[tuple[int, int, float]]]:
    """Every value that the store has of every metric: (step, milliseconds, value), in their order."""
    keys = store.client.get_run(run_id).data.metrics
    return {
        key: sorted((m.step, m.timestamp, m.value) for m in store.client.get_metric_history(run_id, key))
        for key in keys
    }


def artifacts(store: Store, run_id: str, folder: Path) -> Path:
    """A local folder of all the artifacts of a run."""
    uri = store.get(run_id).artifact_uri
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=store.uri))


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file by its path, but for `result.json`, which has the run's id in it."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items() if name != "result.json"}


def models(store: Store, run_id: str) -> list[dict]:
    """The models of a run: status, step, metrics and params."""
    links = {output.model_id: output.step for output in store.client.get_run(run_id).outputs.model_outputs}
    found = store.client.search_logged_models([store.experiment_id], filter_string=f"source_run_id = '{run_id}'")
    return [
        {
            "status": str(model.status),
            "step": links.get(model.model_id),
            "links": len(links),
            "metrics": sorted((m.key, m.step, m.timestamp, m.value) for m in model.metrics),
            "params": model.params,
            "id": model.model_id,
        }
        for model in found
    ]


def snapshot(store: Store, uid: str, folder: Path) -> dict:
    """All that the store holds of the one run of a directory, without the ids that the store gave it."""
    (run_id,) = runs_of(store, uid)
    run, raw = store.get(run_id), store.client.get_run(run_id)
    files = artifacts(store, run_id, folder)
    result = json.loads((files / "result.json").read_text()) if (files / "result.json").exists() else {}
    return {
        "status": run.status,
        "times": (run.start, run.end),
        "tags": {key: value for key, value in run.tags.items() if key not in OF_THE_MOMENT},
        "params": run.params,
        "history": history(store, run_id),
        "artifacts": digests(files),
        "result": {key: value for key, value in result.items() if key != "run_id"},
        "names itself": result.get("run_id") == run_id,
        "inputs": [
            (i.dataset.name, i.dataset.digest, i.dataset.profile, [(t.key, t.value) for t in i.tags])
            for i in raw.inputs.dataset_inputs
        ],
        "models": [{key: value for key, value in model.items() if key != "id"} for model in models(store, run_id)],
    }


def assert_store_has_all_of(directory: RunDirectory, store: Store, folder: Path, *, is_copy: bool = False) -> None:
    """Compare the store with the run directory, value by value."""
    record, result = directory.record, directory.result
    uid = record.uid
    assert len(runs_of(store, uid)) == 1, uid
    (run_id,) = runs_of(store, uid)
    held = snapshot(store, uid, folder / uid)
    assert held["status"] == result.status
    assert held["times"] == (int(record.started * 1000) / 1000, int(result.ended * 1000) / 1000)
    assert held["params"] == params_of(record)
    assert held["history"] == expected_history(directory)
    for key, value in {**record.tags, **result.tags}.items():
        if key not in OF_THE_MOMENT:
            assert held["tags"][key] == str(value)
    local = digests(directory.path)
    kept = {p.relative_to(directory.path).as_posix() for p in directory.artifacts()}
    assert held["artifacts"] == {name: digest for name, digest in local.items() if name in kept}
    assert held["result"] == {key: value for key, value in result.to_json().items() if key != "run_id"}
    assert held["names itself"] != is_copy
    assert (result.run_id == run_id) != is_copy
    data = record.details.get("dataset")  # which tasks of users have not
    assert [item[:2] for item in held["inputs"]] == ([(data["name"], data["digest"])] if data else [])
    if (directory.path / "weights.npz").exists():
        (model,) = held["models"]
        assert model["status"] == "READY"
        assert (model["links"], model["step"]) == (1, result.step)
        assert {key for key, *_ in model["metrics"]} == set(held["history"])


def expected_history(directory: RunDirectory) -> dict[str, list[tuple[int, int, float]]]:
    """The history as the run directory has it, with the metrics that are there once, at the end."""
    result, expected = directory.result, {}
    for value in HistoryReader(directory.path).new_values()[0]:
        expected.setdefault(value.key, []).append((value.step, int(value.time * 1000), value.value))
    for key, value in result.final_metrics.items():
        expected.setdefault(key, []).append((result.step, int(result.ended * 1000), float(value)))
    return expected
