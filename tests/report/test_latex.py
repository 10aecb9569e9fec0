"""The LaTeX of a report: any text in it, its tables, and all of it compiled by a real LaTeX without a warning."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.comparison.citing import cite
from nnexp.comparison.drawing import drawn, panels
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.report.files import RunFiles
from nnexp.report.latex import write
from nnexp.report.latex.references import bibtex
from nnexp.report.latex.tables import tabular
from nnexp.report.latex.text import escape
from nnexp.report.make import write_report
from nnexp.report.page import Page
from nnexp.report.references import REFERENCES
from nnexp.report.selection import Found
from tests.report.runs import trained_run
from tests.report.test_other_tasks import sweep
from tests.report.test_report import NoStore
from tests.tools.waiting import HANGING

HOSTILE = (
    r"\input{/etc/passwd} $x_1^2$ & 50 % of #1 {a}~b}{ \end{document}",
    r"[x] * -- --- ,, '' `` ?` !` << >> \\ \verb|x| ^^M %comment",
    "λ = 1 — 2 − 3 · 4 × 5 ² ₁ ⁿ ½ é ř ő ş ß Ł ø œ … “quoted” ‘so’ € ° µ ± ≤ ≠ ∞ √ → fi",
    "unbroken_" + "verylongname" * 12 + "/with.signs=and" * 6,
    "中文 и русский عربي 🙂 e\u0301 \u1ec5 \u200b\u00a0\u2009\u202f \x00\x07\t\n end \u05d0 Ω Å \u2126",
    "",
    " ",
)
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")


def compiled(folder, name="report", passes=2):
    """What LaTeX made of a document, after a look at its log."""
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", f"{name}.tex"]
    for _ in range(passes):
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=HANGING)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (folder / f"{name}.log").read_text(errors="replace")
    bad = "Warning|Overfull|Underfull|Missing character|undefined|Float too large"
    wrong = re.findall(rf"^.*(?:{bad}).*$", log, re.MULTILINE)
    assert wrong == []
    return folder / f"{name}.pdf"


@drawn
def picture(name, caption):
    figure, axes = panels(9, 3, 1, 1)
    axes[0, 0].plot(np.arange(5), alpha=0.5, label="λ · x²")
    axes[0, 0].set(xlabel="$x^2$ and −1", title="title")
    return Picture(name, figure, caption)


def page(sections, **settings):
    methods = [[("All was tested ", cite("nadeau2003", "holm1979"), ".")], [(HOSTILE[0], cite("demsar2006"))]]
    no_runs = Table("none", [], [])
    whole = {"title": "Report", "facts": "facts", "command": None, "sentences": [], "explanations": [],
             "made_with": "nnexp 1.0; BLAS kernel K, NumPy 2, SciPy 1."}  # fmt: skip
    return Page(**whole | {"sections": sections, "runs": no_runs, "methods": methods} | settings)


@given(st.text())
def test_any_text_becomes_ascii_without_a_command_of_its_own(text):
    made = escape(text)
    assert made.isascii()
    assert "\n" not in made
    assert not re.search(r"\x00|[\x01-\x1f\x7f]", made)
    without = re.sub(r"\\[\\{}$&#_%,]", "", made)  # what stands for itself, and the thin space
    depth = 0
    for letter in without:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[$&#_%]", re.sub(r"\\ensuremath\{[^}]*\}", "", without))


def test_backslashes_and_braces_are_printed():
    assert escape(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert escape("a_b 5 % [c]") == r"a\_b 5\,\% {[}c{]}"
    assert escape("λ² ≤ x₁ — Demšar") == (
        r"\ensuremath{\lambda}\textsuperscript{2} \ensuremath{\le} x\textsubscript{1} \textemdash{} Dem\v{s}ar"
    )
    assert escape("cross-entropy, Holm's -- 'a',,b") == "cross-entropy, Holm's -{}- 'a',{},b"
    assert escape("中") == r"\texttt{U+4E2D}\allowbreak{}"


def test_numbers_of_a_column_stand_under_each_other_and_the_best_row_is_bold():
    rows = [["a", "9.5 [8.25, 10.0]", "0.5", "1e-05"], ["b", "10.25 [9.0, 11.5]", "0.062", "—"]]
    text = tabular(Table("c", ["setting", "score (nats per sample)", "p", "q"], rows, best=1))
    assert r"a & 9.5\phantom{5} {[}8.25, 10.0{]} & 0.5\phantom{62} & 1\ensuremath{\times10^{-5}} \\" in text
    assert r"\bfseries b & \bfseries 10.25 {[}9.0\phantom{5}, 11.5{]}" in text
    assert r"\begin{tabular}[b]{@{}r@{}}score\\(nats per sample)\end{tabular}" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def test_captions_say_n_the_intervals_and_the_versions_where_they_are_not_said(tmp_path):
    section = Section("s", replicates="n = 5 seeds of a setting.", intervals="95 % intervals: t intervals.")
    section.tables = [
        Table("Means with intervals", ["x"], [["1"]], name="means"),
        Table("Pairs (n = 4), each interval alone.", ["x", "p"], [["1", "0.5"]], name="pairs"),
    ]
    write(page([section]), tmp_path)
    means, pairs = (re.sub(r"\{\}", "", (tmp_path / "tables" / f"{n}.tex").read_text()) for n in ("means", "pairs"))
    versions = "nnexp 1.0; BLAS kernel K, NumPy 2, SciPy 1."
    assert (
        rf"\caption{{Means with intervals. n~=~5 seeds of a setting. 95\,\% intervals: t intervals. {versions}}}"
        in means
    )
    assert rf"\caption{{Pairs (n~=~4), each interval alone. {versions}}}" in pairs


def test_an_earlier_reports_tables_go_and_what_else_is_there_stays(tmp_path):
    write(page([Section("s", tables=[Table("Old", ["x"], [["1"]])])]), tmp_path)
    (tmp_path / "own.tex").write_text("mine")
    written = write(page([Section("s", tables=[Table("New", ["x"], [["1"]])] * 2)]), tmp_path)
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["new-2.tex", "new.tex"]
    assert (tmp_path / "own.tex").exists()
    assert all(path.exists() for path in written)


@needs_latex
@pytest.mark.slow
def test_hostile_names_tall_and_wide_tables_and_all_works_compile_without_a_warning(tmp_path):
    rows = [[text, "1.5 [1.0, 2.0]", text] for text in HOSTILE]
    hostile = [Table(text, [text, *HOSTILE[:2]], rows, frozenset({0, 2}), best=0) for text in HOSTILE]
    tall = Table("Tall", ["a", "b"], [["x", str(i)] for i in range(150)])
    wide = Table("Wide", [f"column {i} (of many)" for i in range(40)], [["1.5"] * 40] * 3)
    pictures = [picture(text or "none", text) for text in HOSTILE]
    sections = [
        Section(HOSTILE[0], list(HOSTILE), hostile),
        Section(HOSTILE[4], [], [tall, wide], pictures, replicates=HOSTILE[1]),
    ]
    everything = [[("All of them ", cite(*REFERENCES), ".")]]
    made = page(sections, title=HOSTILE[4], facts=HOSTILE[1], command=HOSTILE[0], sentences=HOSTILE, methods=everything)
    written = write(replace(made, explanations=HOSTILE), tmp_path)
    names = [path.name for path in written]
    assert all(name.isascii() and " " not in name for name in names)
    compiled(tmp_path)
    for path in written:
        if path.suffix == ".pdf":
            content = path.read_bytes()
            assert b"/Type3" not in content.replace(b" ", b"")
            assert content.count(b"/FontFile2") > 0


@needs_latex
@pytest.mark.slow
def test_a_report_of_the_network_and_of_any_task_compiles_as_it_is(tmp_path):
    of_network = [(l2, seed) for l2 in (0.0, 1.0) for seed in (0, 1, 2)]
    runs = [
        *sweep(tmp_path / "a", task="my_module.train_$1")[:6],
        *(trained_run(tmp_path / "b", 20 + i, accuracy=0.9 - 0.02 * l2 + 0.01 * (i % 4), model__l2=l2, seed=seed,
                      data__test_size=0.2)
          for i, (l2, seed) in enumerate(of_network)),
    ]  # fmt: skip
    found = Found(runs, "a_test & more", "test", None)
    result = write_report(found, RunFiles(NoStore()), tmp_path / "out", formats=(), with_latex=True)
    assert result.latex == tmp_path / "out/latex/report.tex"
    assert set(result.latex.parent.rglob("*.tex")) <= set(result.files)
    compiled(result.latex.parent)
    text = result.latex.read_text()
    assert r"\input{tables/network-settings}" in text
    assert r"\includegraphics[width=\linewidth" in text
    assert "nadeau2003" in (result.latex.parent / "references.bib").read_text()


@needs_latex
@pytest.mark.skipif(shutil.which("bibtex") is None, reason="there is no bibtex")
@pytest.mark.slow
def test_the_file_for_bibtex_has_all_that_bibtex_wants(tmp_path):
    (tmp_path / "all.bib").write_text(bibtex(list(REFERENCES)))
    (tmp_path / "cites.aux").write_text("\\relax\n\\citation{*}\n\\bibstyle{plain}\n\\bibdata{all}\n")
    done = subprocess.run(["bibtex", "cites"], cwd=tmp_path, capture_output=True, text=True, timeout=HANGING)
    assert done.returncode == 0
    assert "Warning" not in done.stdout, done.stdout
    written = (tmp_path / "cites.bbl").read_text()
    assert written.count(r"\bibitem") == len(REFERENCES)
    assert r"Dem\v{s}ar" in written
