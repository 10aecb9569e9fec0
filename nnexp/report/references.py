"""The works that a report may cite, by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnexp.comparison.wording import listed


@dataclass(frozen=True)
class Reference:
    """A work.

    Attributes
    ----------
    authors : tuple of (given names, family name)
        The first ones of many, with `and_others`.
    title : str
    venue : str
        Journal or proceedings.
    year : int
    volume, pages, doi, address : str
        "" where there is none; `address` stands for works without a DOI.
    """

    authors: tuple[tuple[str, str], ...]
    title: str
    venue: str
    year: int
    volume: str = ""
    pages: str = ""
    doi: str = ""
    address: str = ""
    is_book: bool = False
    in_proceedings: bool = False
    and_others: bool = False

    @property
    def short(self) -> str:
        """Authors and year, as a sentence names the work: Nadeau and Bengio, 2003."""
        names = [family for _, family in self.authors]
        who = f"{names[0]} et al." if len(names) > 2 or self.and_others else " and ".join(names)
        return f"{who}, {self.year}"

    @property
    def text(self) -> str:
        """The work in a list of references."""
        who = listed([f"{_initials(given)} {family}" for given, family in self.authors] + ["others"] * self.and_others)
        where = f"{self.venue} {self.volume}".rstrip() + (f", {self.pages}" if self.pages else "")
        return f"{who}. {self.title}{'' if self.title.endswith('?') else '.'} {where}, {self.year}."

    @property
    def place(self) -> str:
        """Where it is found: its DOI, or an address."""
        return f"doi:{self.doi}" if self.doi else self.address


def _initials(given: str) -> str:
    """K. R. for Kathryn Roger; J.-L. for Jean-Luc."""
    return " ".join("-".join(f"{part[0]}." for part in name.split("-")) for name in given.split())


def _work(authors: str, title: str, venue: str, year: int, volume: str = "", pages: str = "", doi: str = "",
          address: str = "", *, is_book: bool = False, in_proceedings: bool = False) -> Reference:  # fmt: skip
    """The authors as "Given Family; Given Family; others"; a family name of several words is joined by "_"."""
    everybody = [name.strip() for name in authors.split(";")]
    names = [name.rpartition(" ") for name in everybody if name != "others"]
    people = tuple((given, family.replace("_", " ")) for given, _, family in names)
    return Reference(people, title, venue, year, volume, pages, doi, address, is_book, in_proceedings,
                     and_others=everybody[-1] == "others")  # fmt: skip


REFERENCES: dict[str, Reference] = {
    "benavoli2016": _work(
        "Alessio Benavoli; Giorgio Corani; Francesca Mangili",
        "Should we really use post-hoc tests based on mean-ranks?",
        "Journal of Machine Learning Research", 2016, "17(5)", "1–10", address="jmlr.org/papers/v17/benavoli16a.html",
    ),
    "bouckaert2004": _work(
        "Remco Bouckaert; Eibe Frank",
        "Evaluating the replicability of significance tests for comparing learning algorithms",
        "Advances in Knowledge Discovery and Data Mining (PAKDD), LNCS", 2004, "3056", "3–12",
        "10.1007/978-3-540-24775-3_3", in_proceedings=True,
    ),
    "bouthillier2021": _work(
        "Xavier Bouthillier; Pierre Delaunay; Mirko Bronzi; Assya Trofimov; Brennan Nichyporuk; Justin Szeto; "
        "Nazanin Mohammadi_Sepahvand; Edward Raff; Kanika Madan; Vikram Voleti; Samira Ebrahimi_Kahou; "
        "Vincent Michalski; Tal Arbel; Chris Pal; Gaël Varoquaux; Pascal Vincent",
        "Accounting for variance in machine learning benchmarks",
        "Proceedings of Machine Learning and Systems", 2021, "3", "747–769", address="arxiv.org/abs/2103.03098",
        in_proceedings=True,
    ),
    "brier1950": _work(
        "Glenn Brier", "Verification of forecasts expressed in terms of probability",
        "Monthly Weather Review", 1950, "78(1)", "1–3", "10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    ),
    "demsar2006": _work(
        "Janez Demšar", "Statistical comparisons of classifiers over multiple data sets",
        "Journal of Machine Learning Research", 2006, "7", "1–30", address="jmlr.org/papers/v7/demsar06a.html",
    ),
    "dodge2019": _work(
        "Jesse Dodge; Suchin Gururangan; Dallas Card; Roy Schwartz; Noah Smith",
        "Show your work: Improved reporting of experimental results",
        "Proceedings of EMNLP-IJCNLP", 2019, "", "2185–2194", "10.18653/v1/D19-1224", in_proceedings=True,
    ),
    "dolan2002": _work(
        "Elizabeth Dolan; Jorge Moré", "Benchmarking optimization software with performance profiles",
        "Mathematical Programming", 2002, "91(2)", "201–213", "10.1007/s101070100263",
    ),
    "efron1987": _work(
        "Bradley Efron", "Better bootstrap confidence intervals",
        "Journal of the American Statistical Association", 1987, "82(397)", "171–185", "10.1080/01621459.1987.10478410",
    ),
    "fisher1935": _work("Ronald Fisher", "The Design of Experiments", "Oliver and Boyd, Edinburgh", 1935, is_book=True),
    "friedman1937": _work(
        "Milton Friedman", "The use of ranks to avoid the assumption of normality implicit in the analysis of variance",
        "Journal of the American Statistical Association", 1937, "32(200)", "675–701", "10.1080/01621459.1937.10503522",
    ),
    "guo2017": _work(
        "Chuan Guo; Geoff Pleiss; Yu Sun; Kilian Weinberger", "On calibration of modern neural networks",
        "Proceedings of the 34th International Conference on Machine Learning, PMLR", 2017, "70", "1321–1330",
        address="proceedings.mlr.press/v70/guo17a.html", in_proceedings=True,
    ),
    "hansen2021": _work(
        "Nikolaus Hansen; Anne Auger; Raymond Ros; Olaf Mersmann; Tea Tušar; Dimo Brockhoff",
        "COCO: A platform for comparing continuous optimizers in a black-box setting",
        "Optimization Methods and Software", 2021, "36(1)", "114–144", "10.1080/10556788.2020.1808977",
    ),
    "harris2020": _work(
        "Charles Harris; Jarrod Millman; Stéfan van_der_Walt; others", "Array programming with NumPy",
        "Nature", 2020, "585", "357–362", "10.1038/s41586-020-2649-2",
    ),
    "hartigan1969": _work(
        "John Hartigan", "Using subsample values as typical values",
        "Journal of the American Statistical Association", 1969, "64(328)", "1303–1317",
        "10.1080/01621459.1969.10501057",
    ),
    "holm1979": _work(
        "Sture Holm", "A simple sequentially rejective multiple test procedure",
        "Scandinavian Journal of Statistics", 1979, "6(2)", "65–70", address="www.jstor.org/stable/4615733",
    ),
    "hutter2014": _work(
        "Frank Hutter; Holger Hoos; Kevin Leyton-Brown",
        "An efficient approach for assessing hyperparameter importance",
        "Proceedings of the 31st International Conference on Machine Learning, PMLR", 2014, "32", "754–762",
        address="proceedings.mlr.press/v32/hutter14.html", in_proceedings=True,
    ),
    "iman1980": _work(
        "Ronald Iman; James Davenport", "Approximations of the critical region of the Friedman statistic",
        "Communications in Statistics – Theory and Methods", 1980, "9(6)", "571–595", "10.1080/03610928008827904",
    ),
    "more2009": _work(
        "Jorge Moré; Stefan Wild", "Benchmarking derivative-free optimization algorithms",
        "SIAM Journal on Optimization", 2009, "20(1)", "172–191", "10.1137/080724083",
    ),
    "nadeau2003": _work(
        "Claude Nadeau; Yoshua Bengio", "Inference for the generalization error",
        "Machine Learning", 2003, "52(3)", "239–281", "10.1023/A:1024068626366",
    ),
    "naeini2015": _work(
        "Mahdi Pakdaman Naeini; Gregory Cooper; Milos Hauskrecht",
        "Obtaining well calibrated probabilities using Bayesian binning",
        "Proceedings of the AAAI Conference on Artificial Intelligence", 2015, "29", "2901–2907",
        "10.1609/aaai.v29i1.9602", in_proceedings=True,
    ),
    "pratt1959": _work(
        "John Pratt", "Remarks on zeros and ties in the Wilcoxon signed rank procedures",
        "Journal of the American Statistical Association", 1959, "54(287)", "655–667", "10.1080/01621459.1959.10501526",
    ),
    "schmidt2021": _work(
        "Robin Schmidt; Frank Schneider; Philipp Hennig",
        "Descending through a crowded valley: Benchmarking deep learning optimizers",
        "Proceedings of the 38th International Conference on Machine Learning, PMLR", 2021, "139", "9367–9376",
        address="proceedings.mlr.press/v139/schmidt21a.html", in_proceedings=True,
    ),
    "schuirmann1987": _work(
        "Donald Schuirmann", "A comparison of the two one-sided tests procedure and the power approach for assessing "
        "the equivalence of average bioavailability",
        "Journal of Pharmacokinetics and Biopharmaceutics", 1987, "15(6)", "657–680", "10.1007/BF01068419",
    ),
    "ting1990": _work(
        "Naitee Ting; Richard Burdick; Franklin Graybill; S. Jeyaratnam; Tai-Fang Lu",
        "Confidence intervals on linear combinations of variance components that are unrestricted in sign",
        "Journal of Statistical Computation and Simulation", 1990, "35(1–2)", "135–143", "10.1080/00949659008811240",
    ),
    "virtanen2020": _work(
        "Pauli Virtanen; Ralf Gommers; Travis Oliphant; others",
        "SciPy 1.0: Fundamental algorithms for scientific computing in Python",
        "Nature Methods", 2020, "17", "261–272", "10.1038/s41592-019-0686-2",
    ),
    "wilcoxon1945": _work(
        "Frank Wilcoxon", "Individual comparisons by ranking methods",
        "Biometrics Bulletin", 1945, "1(6)", "80–83", "10.2307/3001968",
    ),
    "wilson1927": _work(
        "Edwin Wilson", "Probable inference, the law of succession, and statistical inference",
        "Journal of the American Statistical Association", 1927, "22(158)", "209–212", "10.1080/01621459.1927.10502953",
    ),
}  # fmt: skip


def works(keys: Sequence[str]) -> list[tuple[str, Reference]]:
    """Works by their keys.

    Raises
    ------
    KeyError
        If a key is unknown.
    """
    return [(key, REFERENCES[key]) for key in keys]
