"""What the documents show of commands: blocks that are marked as repeated, and quotes and tables of their reports.

A mark is a comment above a block of commands. The quotes below it, up to the next mark, are sentences of the report
that its last command wrote, or that its commands printed, and the rows of a table below the comment `from its report`
are of that report.
"""

import html
import re
from dataclasses import dataclass

MARK = re.compile(r"^<!-- repeated by (the tests|make numbers) -->\n", re.MULTILINE)
CONSOLE = re.compile(r"```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
QUOTE = re.compile(r"^>.*\n(?:^>.*\n)*", re.MULTILINE)
TABLE = re.compile(r"^<!-- from its report -->\n((?:^\|.*\n)+)", re.MULTILINE)
REPORT = re.compile(r"^(?:report: )?(\S+/report\.html)$", re.MULTILINE)
ID = r"\b[0-9a-f]{32}\b|\b\d{8}-\d{6}-[0-9a-f]{8}\b"
VARYING = [
    (ID, "ID"),
    (r"nnexp-[0-9a-f]{16}", "nnexp-VIEW"),
    (r"(sweeps|reports)/[0-9a-f]{16}", r"\1/SWEEP"),
    (r"^fit +[\d.]+ s", "fit T s"),
    (r"^in [\d.]+ s$", "in T s"),
    (r'"seconds": [\d.]+', '"seconds": T'),
    (r"(\(\w+), [\d.]+ s\)$", r"\1, T s)"),  # of a reference run
    (r"^.*, at most .* left, .*\n", ""),  # how far it is, where it takes long
    (r"^( *\{'max\w+': \d+\} +\d+) +[\d.]+ ", r"\1 T "),
    (r"^.* whether all get .*\n|^.* depends on what is held equal: .*\n", ""),  # who leads after some seconds
    (r"after [\d.,]+ seconds [^(]*\([^)]*\)", "after T seconds somebody"),
]


@dataclass(frozen=True)
class Block:
    """Commands with what they print, and what is said below of the report of the last of them."""

    is_long: bool
    steps: list[tuple[str, str]]
    quotes: list[str]
    tables: list[list[list[str]]]


def blocks(page):
    """The marked blocks of a document."""
    _, *parts = MARK.split(page)
    for by, part in zip(parts[::2], parts[1::2], strict=True):
        tables = [cells_of(table) for table in TABLE.findall(part)]
        yield Block(by == "make numbers", steps(CONSOLE.match(part)[1]), quotes(part), tables)


def unmarked(page):
    """Quotes, and blocks of commands with what they print, that belong to no mark."""
    before = MARK.split(page)[0]
    printing = [block for block in CONSOLE.findall(MARK.sub("<!-- -->", page)) if any(told for _, told in steps(block))]
    marked = [CONSOLE.match(page, mark.end())[1] for mark in MARK.finditer(page)]
    return quotes(before) + [block for block in printing if block not in marked]


def steps(block):
    """The commands of a block, each with what it prints."""
    return [step.partition("\n")[::2] for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def quotes(text):
    """The paragraphs of all quotes, each as one line."""
    paragraphs = (re.split(r"^>\n", quote, flags=re.MULTILINE) for quote in QUOTE.findall(text))
    return [" ".join(paragraph.replace("\n>", "\n")[1:].split()) for quote in paragraphs for paragraph in quote]


def cells_of(table):
    """The cells of a table, the header first."""
    head, _, *rows = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines())
    return [head, *rows]


def without_varying(text):
    """Without times, ids and paths, and what hangs on times."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def agrees(told, printed):
    """Whether a document shows what was printed; `...` stands for lines that it leaves out."""
    told = without_varying(told)
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in told.splitlines())
    return re.fullmatch(pattern, without_varying(printed).rstrip() + "\n") is not None


class Report:
    """The sentences and tables of a report's page, and those sentences that were printed."""

    def __init__(self, page, printed=""):
        self.sentences = [html.unescape(text) for text in re.findall(r"<li>(.*?)</li>", page)] + printed.splitlines()
        self.tables = [
            [
                [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
                for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
            ]
            for table in re.findall(r"<table>(.*?)</table>", page, re.DOTALL)
        ]

    def says(self, paragraph):
        """Whether a sentence is in the report, or the first ones of an item."""
        told = without_varying(paragraph)
        return any(f"{without_varying(text)} ".startswith(f"{told} ") for text in self.sentences)

    def has(self, table):
        """Whether each row is in one table of the report; its columns may be fewer, and its means without intervals."""
        head, *rows = table
        for full_head, *full in self.tables:
            if set(head) <= set(full_head):
                places = list(range(len(head)) if head == full_head else map(full_head.index, head))
                picked = [[row[place] for place in places] for row in full]
                means = [[re.sub(r" \[.*\]$", "", cell) for cell in row] for row in picked]
                if all(row in picked + means for row in rows):
                    return True
        return False
