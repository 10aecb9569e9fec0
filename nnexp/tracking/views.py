"""Saved views: an experiment or a sweep opens in the MLflow UI with the columns, the order and the charts it needs.

MLflow keeps a saved view as a tag of the experiment, JSON in an undocumented form (tested with MLflow 3.17.2, in a
browser). So a view is an extra: where it cannot be written, addresses name the runs by a plain filter instead.
"""

from __future__ import annotations

import colorsys
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from nnexp.runs.records import SweepPlan
from nnexp.runs.tags import PARENT
from nnexp.tasks.presentation import Presentation
from nnexp.tracking.store import Store, ui_address

TAG = "mlflow.sharedViewState."
DEFAULT = "nnexp"  # the key of the view of a whole experiment
SEEDS = "-seeds"  # what a sweep's id gets for its second view, of means over seeds
KEPT = 30  # views of sweeps in an experiment; the UI lets nobody save a view where there are 40
LONGEST = 20_000  # characters of a view that the UI takes
RUN_NAME = "attributes.`Run Name`"
NAME_ORDER = "tags.`mlflow.runName`"  # what the UI calls that column where it sorts by it
MOST_PARAMS, MOST_METRICS = 6, 12  # columns
ENOUGH = 50  # runs to learn what is logged from
LETTER = 7  # pixels of a letter of a column's name

# For lines on white, one beside the other; the first six are safe for colour-blind readers (M. Okabe and K. Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
          "#7B3F99", "#8C564B", "#444444", "#A8A80A", "#E0218A", "#1B5E20")  # fmt: skip


def colors(n: int) -> list[str]:
    """Colours for n runs, no two alike. The UI by itself picks one of twenty by a run's id, often one for two runs."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    hls = [(i / n, (0.32, 0.46, 0.6)[i % 3], 0.7) for i in range(n)]
    return ["#" + "".join(f"{round(255 * c):02X}" for c in colorsys.hls_to_rgb(*each)) for each in hls]


@dataclass(frozen=True)
class View:
    """A saved view: which runs, in which columns and which order; `shown` knows the metrics and charts of the task."""

    key: str
    name: str
    shown: Presentation
    params: Sequence[str] = ()
    logged: Sequence[str] = ()  # metrics shown as columns, where the task declares none
    filter: str = ""
    order_by: str | None = None  # a metric, best first; else a sweep's by name, all runs newest first under parents
    ascending: bool = False
    name_width: int = 300  # pixels of the column of the runs' names
    mean_over: Sequence[str] = ()  # runs that agree in these params are one row and one curve, their mean

    def state(self) -> dict[str, Any]:
        """The view as the UI's own state."""
        metrics = self.shown.columns or self.logged
        columns = [_param(key) for key in self.params] + [_metric(key) for key in metrics]
        state = {
            "searchFilter": self.filter,
            "selectedColumns": columns,
            "columnOrder": [RUN_NAME, *columns],
            "columnWidths": {
                RUN_NAME: self.name_width,
                **{_param(key): max(80, 40 + LETTER * len(key)) for key in self.params},
                **{_metric(key): max(80, 48 + LETTER * len(key)) for key in metrics},  # with room for the sort's arrow
            },
            "runsHiddenMode": "SHOW_ALL",
        }
        if self.shown.charts or self.shown.images:  # else the UI makes a chart for each metric
            charts = {"compareRunSections": _sections(self.shown), "compareRunCharts": _charts(self.shown)}
            state |= {**charts, "isAccordionReordered": True}
        if self.order_by:
            state |= {"orderByKey": _metric(self.order_by), "orderByAsc": self.ascending}
        elif self.filter:  # by time the UI folds children into their parent, and shows neither columns nor charts
            state |= {"orderByKey": NAME_ORDER, "orderByAsc": True}
        if self.mean_over:
            keys = [{"mode": "param", "groupByData": key} for key in self.mean_over]
            state |= {"groupBy": {"aggregateFunction": "average", "groupByKeys": keys}}
        return state

    def as_tag(self, milliseconds: int) -> str:
        """The value of the experiment's tag."""
        times = {"createdAt": milliseconds, "updatedAt": milliseconds}
        return json.dumps({"name": self.name, **times, "state": json.dumps(self.state(), separators=(",", ":"))})


def _metric(key: str) -> str:
    return f"metrics.`{key}`"


def _param(key: str) -> str:
    return f"params.`{key}`"


def _sections(shown: Presentation) -> list[dict[str, Any]]:
    """Sections of the chart page, in their order."""
    fixed = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return [{"uuid": name, "name": name, **fixed} for name in [*shown.charts, *shown.images]]


def _charts(shown: Presentation) -> list[dict[str, Any]]:
    """The charts in them. One of a metric that no run has is not shown."""
    cards = []
    for section, keys in shown.charts.items():
        cards += [_card("LINE", key, section, metricKey=key, displayName=key, **LINE) for key in keys]
    for section, keys in shown.images.items():
        cards += [_card("IMAGE", key, section, imageKeys=[key], step=0, showRunParams=False) for key in keys]
    return cards


LINE = {
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "selectedXAxisMetricKey": "",
    "range": {},
    "lineSmoothness": 0,
    "ignoreOutliers": False,
    "displayPoints": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def _card(kind: str, key: str, section: str, **settings: Any) -> dict[str, Any]:
    common = {"type": kind, "uuid": f"{kind}-{key}", "metricSectionId": section, "deleted": False, "isGenerated": True}
    return {**common, "runsCountToCompare": 10, **settings}


def keep_default(store: Store, shown: Presentation) -> None:
    """Give the experiment its view of all runs, where it has none; once it is seen there it is not looked for again."""
    try:
        store.has_view = store.has_view or store.was_tagged(TAG + DEFAULT) or TAG + DEFAULT in _tags(store)
        if store.has_view:
            return
        logged = _logged(store, shown)
        if shown.columns or logged:  # else it is kept with a later run
            _keep(store, View(DEFAULT, f"{store.experiment}: all runs", shown, shown.params, logged))
    except Exception:
        return  # an extra


def keep_sweep(
    store: Store,
    plan: SweepPlan,
    parent_id: str,
    shown: Presentation,
    run_ids: Collection[str] = (),
    ranked_by: str | None = None,
) -> None:
    """Give a sweep its view: its runs, best first, with what was swept as columns.

    Where other things than the seed were swept too, a second view holds the means over the seeds.

    Parameters
    ----------
    run_ids
        The runs that stand for the jobs, where some are not the parent's own children; its children are shown where
        none are named, or more than a view can hold (some 400).
    shown
        Knows what there is to show of runs of their task.
    ranked_by
        The metric that orders them, best first.
    """
    children = chosen = _children(parent_id)
    if run_ids:
        chosen = "attributes.run_id IN ({})".format(", ".join(f"'{run_id}'" for run_id in run_ids))
    varied, others = _varied(plan), over_seeds(plan)
    when = time.strftime("%d %b %H:%M", time.localtime(plan.made))
    name = f"{plan.name.removeprefix('sweep of ')}, {when}"
    ranked = shown.metrics.get(ranked_by or "")
    ranking = {"order_by": ranked_by, "ascending": ranked is not None and ranked.higher_is_better is False}
    views = [View(sweep_key(plan.sweep), name, shown, varied[:MOST_PARAMS], (), chosen, name_width=220, **ranking)]
    if others:
        key, name = views[0].key + SEEDS, f"means over seeds: {name}"
        views.append(View(key, name, shown, others[:MOST_PARAMS], (), chosen, **ranking, mean_over=others))
    try:
        logged = _logged(store, shown, chosen)
        for view in (replace(view, logged=logged) for view in views):
            _keep(store, view if len(view.as_tag(0)) < LONGEST - 50 else replace(view, filter=children))
        _drop_oldest(store)
    except Exception:
        return  # an extra


def _logged(store: Store, shown: Presentation, chosen: str = "") -> list[str]:
    """The metrics of the newest runs, which may be of several tasks, where the task declares none to show."""
    runs = [] if shown.columns else store.search(chosen, newest_first=True, limit=ENOUGH)
    return list(dict.fromkeys(key for run in runs for key in run.metrics))[:MOST_METRICS]


def over_seeds(plan: SweepPlan) -> list[str]:
    """What a sweep varied beside the seed; empty where it did not vary both."""
    varied = _varied(plan)
    return [key for key in varied if key != "seed"] if "seed" in varied else []


def _varied(plan: SweepPlan) -> list[str]:
    return list(plan.varied)


def varied_params(
    swept_keys: Sequence[str], configs: Iterable[Mapping[str, Any]], first: Collection[str] = ()
) -> list[str]:
    """The params in which configs differ, those swept first; what was swept, where no config is known yet.

    A swept config group, such as `optimizer`, stands for those of its params that differ, those among `first` first.
    """
    values: dict[str, set[str]] = {}
    for config in configs:
        for key, value in config.items():
            values.setdefault(key, set()).add(str(value))
    if not values:
        return list(swept_keys)

    def place(key: str) -> tuple[int, bool]:
        owners = [i for i, swept in enumerate(swept_keys) if key == swept or key.startswith(f"{swept}.")]
        return (owners or [len(swept_keys)])[0], key not in first

    return sorted((key for key, seen in values.items() if len(seen) > 1), key=place)


def address(
    store: Store, sweep: str | None = None, parent_id: str = "", *, mode: str = "", base: str | None = None
) -> str:
    """What to open in a browser to see the runs of a sweep, or of the whole experiment.

    Parameters
    ----------
    sweep, parent_id
        A sweep's id and that of its parent run, by which its runs are found where it has no saved view.
    mode
        `TABLE` (the default), `CHART`, or `ARTIFACT` for the per-class table across runs.
    base
        Where the UI is served; else the tracking server, or where `nnexp ui` serves a store that is no server.
    """
    server = (store.address() if base is None else ui_address(base, store.experiment_id)).partition("#")[0]
    return server + local_address(store, sweep, parent_id, mode=mode)


def local_address(store: Store, sweep: str | None = None, parent_id: str = "", *, mode: str = "") -> str:
    """The same from the `#` on, for a link from one page of the UI to another."""
    query = {"workflowType": "machine_learning"}
    key = sweep_key(sweep) if sweep else DEFAULT
    # A view and a filter exclude each other: with a filter in the address the UI leaves the view aside.
    if _has_view(store, key):
        query["viewStateShareKey"] = key
    elif parent_id:
        query["searchFilter"] = _children(parent_id)
    if mode:
        query["compareRunsMode"] = mode
    return f"#/experiments/{store.experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def sweep_key(sweep: str) -> str:
    """The key of a sweep's view."""
    return f"{DEFAULT}-{sweep}"


def _children(parent_id: str) -> str:
    return f"tags.`{PARENT}` = '{parent_id}'"


def _tags(store: Store) -> dict[str, str]:
    return dict(store.client.get_experiment(store.experiment_id).tags)


def _has_view(store: Store, key: str) -> bool:
    try:
        return TAG + key in _tags(store)
    except Exception:
        return False


def _keep(store: Store, view: View) -> None:
    store.client.set_experiment_tag(store.experiment_id, TAG + view.key, view.as_tag(int(1000 * time.time())))


def _drop_oldest(store: Store) -> None:
    """Leave the newest views of sweeps; a person's own views are not touched."""
    kept = {key: value for key, value in _tags(store).items() if key.startswith(TAG + sweep_key(""))}
    for key in sorted(kept, key=lambda key: json.loads(kept[key])["updatedAt"])[:-KEPT]:
        store.client.delete_experiment_tag(store.experiment_id, key)
