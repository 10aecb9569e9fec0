"""What a report says of how its numbers were made, as a paper prints it: only what was really done, with references."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nnexp.comparison.citing import Sentence, cite
from nnexp.comparison.metric import Metric
from nnexp.comparison.sections import Section
from nnexp.comparison.settings import Frame, Group
from nnexp.comparison.spec import Reader
from nnexp.comparison.values import values_of
from nnexp.comparison.wording import count, listed
from nnexp.statistics.paired import Comparison
from nnexp.statistics.sign_flips import EXACT_UP_TO, FLIPS

ENVIRONMENT = "environment/environment.json"
MOST_KINDS = 5  # of runs, whose environments are read for the version of nnexp


@dataclass(frozen=True)
class Used:
    """The statistics that the numbers of one group were made with.

    Attributes
    ----------
    n, noun, within
        Replicates of a setting at most, what one is called, and what is averaged within one ("": nothing).
    ratio : float or None
        n_test / n_train where each replicate has a held-out part of its own.
    intervals : frozenset of str
        Of the means and single figures: ``t``, ``corrected t``, ``Wilson``.
    tests : frozenset of str
        Of the pairs of settings: ``corrected t``, ``sign flip``.
    has_pair_intervals : bool
        Whether any pair has an interval of its difference.
    n_corrected : int
        The most p-values that were corrected together; 1: none.
    margin : str
        Up to which differences are of no account, with its unit; "" where none was given.
    """

    n: int
    noun: str = "seed"
    within: str = ""
    ratio: float | None = None
    intervals: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    has_pair_intervals: bool = False
    n_corrected: int = 0
    margin: str = ""

    @classmethod
    def of(cls, group: Group, compared: Iterable[tuple[Metric, Sequence[Comparison]]]) -> Used:
        """What a group's tables and their comparisons were made with."""
        metrics = group.spec.columns(group)
        summaries = [setting.summary(metric.key) for setting in group.settings for metric in metrics]
        tested = [[c for c in each if math.isfinite(c.p)] for _, each in compared]
        pairs = [c for each in tested for c in each if c.ties < c.n]  # of equal figures nothing needs a test
        ratio = group.design.ratio
        return cls(
            n=group.most_seeds,
            noun=group.noun,
            within=group.design.within,
            ratio=ratio,
            intervals=frozenset(summary.method for summary in summaries if summary.has_interval),
            # Of equal differences there is no t, see Design.p.
            tests=frozenset("corrected t" if ratio is not None and c.sd else "sign flip" for c in pairs),
            has_pair_intervals=any(c.difference.has_interval for c in pairs),
            n_corrected=max(map(len, tested), default=0),
            margin="" if group.margin is None or not pairs else group.final.show_difference(group.margin),
        )

    @property
    def about_n(self) -> str:
        """How many replicates there are, for a caption that stands alone."""
        return f"n = {count(self.n, self.noun)} of a setting."

    @property
    def about_intervals(self) -> str:
        """Which intervals the means have, for the same; "" for none."""
        kinds = [text for kind, text in INTERVAL_NAMES.items() if kind in self.intervals]
        ratio = f", n_test / n_train = {self.ratio:.3g}" if "corrected t" in self.intervals else ""
        return f"95 % intervals: {listed(kinds)}{ratio}." if kinds else ""


INTERVAL_NAMES = {
    "corrected t": "t intervals with the correction of Nadeau and Bengio (2003)",
    "t": "t intervals",
    "Wilson": "Wilson's (1927), of the samples of a single run",
}


def about_group(group: Group, used: Used) -> list[Sentence]:
    """How the runs of a group were made, compared and judged."""
    said = [*group.spec.about_training(group), _varied(group), *_choice(group)]
    return said + about_intervals(used) + about_tests(used)


def _varied(group: Group) -> Sentence:
    design = group.design
    averaged = f", over each of which the {design.within}s were averaged" if design.within else ""
    if not group.keys:
        return (f"It was done with {count(group.most_seeds, design.noun)}{averaged}.",)
    runs = [setting.values for setting in group.settings]
    keys = [f"{group.spec.name_of(key)} ({values_of([each[key] for each in runs])})" for key in group.keys]
    even = all(setting.n == group.most_seeds for setting in group.settings)
    times = f"{'' if even else 'up to '}{count(group.most_seeds, design.noun)}"
    n = count(len(group.settings), "setting")
    return (f"{n} of {listed(keys)} were run with {times} each{averaged}.",)


def _choice(group: Group) -> list[Sentence]:
    if len(group.settings) < 2 or not group.has_choice:
        return []
    best = f"The settings were ranked by the mean of the {group.by.name}"
    if group.has_selection_bias:
        return [(f"{best}, which is also the figure that is reported of the best one, and so flatters it.",)]
    return [(f"{best}; the {group.final.name}, which is reported, had no part in that.",)]


def about_intervals(used: Used) -> list[Sentence]:
    """Of means and single figures."""
    said: list[Sentence] = []
    means = f"Means over the {used.noun}s are given with 95 % t intervals"
    if "corrected t" in used.intervals:
        works = ("nadeau2003", "bouckaert2004") if used.noun == "fold" else ("nadeau2003",)
        said.append((
            f"{means}; since the {used.noun}s hold out parts of the same samples, the variance of a mean over n of "
            "them was taken as (1 / n + n_test / n_train) times that of one, with n_test / n_train = "
            f"{used.ratio:.3g} ",
            cite(*works), ".",
        ))  # fmt: skip
    elif "t" in used.intervals:
        said.append((f"{means}.",))
    if "Wilson" in used.intervals:
        said.append((
            "The share of right predictions of a single run has Wilson's 95 % interval ", cite("wilson1927"),
            ", which is of the samples that it was measured on alone.",
        ))  # fmt: skip
    return said


def about_tests(used: Used) -> list[Sentence]:
    """Of pairs of settings, as one piece: what is said of one test must not be read as of another group's."""
    if not used.tests:
        return []
    said: list[Sentence] = []
    pairs = f"Pairs of settings were compared over their common {used.noun}s by "
    if "corrected t" in used.tests:
        said.append((f"{pairs}the two-sided corrected resampled t-test ", cite("nadeau2003"), "."))
    if "sign flip" in used.tests:
        exact = "exact " if used.n <= EXACT_UP_TO else ""
        patterns = "" if exact else f" with {FLIPS:,} random patterns"
        where = "; pairs whose differences are all equal by the" if "corrected t" in used.tests else ""
        start = f"{pairs}the" if not where else "Pairs whose differences are all equal were compared by the"
        interval: Sentence = (".",)
        if used.has_pair_intervals and not where:
            interval = ("; the interval of a difference holds all that it does not reject ", cite("hartigan1969"), ".")
        test = f"{start} two-sided {exact}sign-flip permutation test of the mean difference{patterns} "
        said.append((test, cite("fisher1935"), *interval))
    if used.n_corrected > 1:
        said.append((f"Their p-values were adjusted by Holm's method for up to {used.n_corrected} comparisons ",
                     cite("holm1979"), "."))  # fmt: skip
    if used.margin:
        said.append((f"Two settings count as equivalent where two one-sided tests show that they differ by less than "
                     f"{used.margin} ", cite("schuirmann1987"), "."))  # fmt: skip
    scope = (
        "other samples of the same kind" if used.ratio is not None else f"further {used.noun}s, not about other data"
    )
    said.append((f"What is claimed of pairs is about {scope}.",))
    first, *others = said
    return [(*first, *(piece for sentence in others for piece in (" ", *sentence)))]


def paragraphs(sections: Sequence[Section], made: Software) -> list[list[Sentence]]:
    """The methods of a page: first what holds of all its sections, then of each what holds of it alone, then software.

    Empty where no section has any.
    """
    told = [section for section in sections if section.methods]
    if not told:
        return []
    alike = [section for section in told if set(section.methods) & set(told[0].methods)]  # not that over all data sets
    common = [text for text in dict.fromkeys(told[0].methods) if all(text in section.methods for section in alike)]
    own = [(section.title, [text for text in dict.fromkeys(section.methods) if text not in common]) for section in told]
    each = [_under(title, texts) for title, texts in own if texts]
    short = [texts[0] for texts in each if len(texts) == 1]  # of each of many data sets no more than its name
    longer = [texts for texts in each if len(texts) > 1]
    return [paragraph for paragraph in [common, short, *longer, made.sentences] if paragraph]


def _under(title: str, texts: list[Sentence]) -> list[Sentence]:
    """What is said of a section alone, begun by its title unless the first sentence names it anyway."""
    is_named = title.lower() in str(texts[0][0]).lower()
    return texts if is_named else [(f"{title}.",), *texts]


@dataclass(frozen=True)
class Software:
    """What the runs were made with.

    Attributes
    ----------
    nnexp : tuple of str
        Versions.
    arithmetic : tuple of str
        BLAS kernel and versions of NumPy and SciPy, as :func:`nnexp.runs.provenance.arithmetic_text` has them.
    """

    nnexp: tuple[str, ...]
    arithmetic: tuple[str, ...]

    @property
    def note(self) -> str:
        """For a caption."""
        made = [f"BLAS kernel {text}" for text in self.arithmetic] or ["BLAS kernel, NumPy and SciPy not recorded"]
        return f"nnexp {listed(self.nnexp)}; {' or '.join(made)}."

    @property
    def sentences(self) -> list[Sentence]:
        """For the paragraph."""
        own = f"All was computed with nnexp {listed(self.nnexp)}"
        if not self.arithmetic:
            return [(f"{own}; the BLAS kernel and the versions of NumPy and SciPy were not recorded.",)]
        kernels = " or ".join(f"the BLAS kernel {text}" for text in self.arithmetic)
        return [(f"{own}, on {kernels} ", cite("harris2020", "virtanen2020"), ".")]


def software(counted: Frame, read: Reader, is_unread: Callable[[str], bool]) -> Software:
    """What the runs that count were made with, as they have recorded it.

    `is_unread` says of the name of a file whether one could not be read.
    """
    one_of_each = counted.drop_duplicates(["code_digest", "arithmetic"])["run_id"].head(MOST_KINDS)
    versions = [read(run_id, ENVIRONMENT, lambda content: str(json.loads(content)["nnexp"])) for run_id in one_of_each]
    arithmetic = dict.fromkeys(text for text in counted["arithmetic"] if text)
    unknown = "(version could not be read)" if is_unread(ENVIRONMENT) else "(version not recorded)"
    return Software(tuple(dict.fromkeys(filter(None, versions))) or (unknown,), tuple(arithmetic))
