r"""Any text as LaTeX that prints it, with pdfLaTeX and its usual fonts.

Names of settings, tasks and metrics are the user's, so that every character may come: nothing of a text is ever run as
a command. What the fonts do not have is printed as its code point, as in ``\texttt{U+4E2D}``.
"""

from __future__ import annotations

import re
import unicodedata

BREAK = r"\allowbreak{}"
LONG_WORD = 16  # letters without a space; a longer word may break after a sign, and after so many letters

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "'": "'{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # at the beginning of a row it would be an option of the line break before
    "]": "{]}",
    "*": "{*}",
    "-": "-{}",  # two dashes, two commas and two apostrophes are no ligatures
    ",": ",{}",
    "\u2212": r"\textminus{}",
    "·": r"\textperiodcentered{}",
    "×": r"\texttimes{}",
    "÷": r"\textdiv{}",
    "±": r"\textpm{}",
    "°": r"\textdegree{}",
    "§": r"\textsection{}",
    "µ": r"\textmu{}",
    "€": r"\texteuro{}",
    "©": r"\textcopyright{}",
    "«": r"\guillemotleft{}",
    "»": r"\guillemotright{}",
    "—": r"\textemdash{}",
    "–": r"\textendash{}",
    "…": r"\textellipsis{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "½": r"\textonehalf{}",
    "¼": r"\textonequarter{}",
    "¾": r"\textthreequarters{}",
    "•": r"\textbullet{}",
    "\u00a0": "~",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "\u200b": BREAK,
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
MATH = {
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∞": r"\infty",
    "→": r"\to",
    "←": r"\leftarrow",
    "↔": r"\leftrightarrow",
    "√": r"\surd",
    "∑": r"\sum",
    "∏": r"\prod",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∈": r"\in",
    "⋅": r"\cdot",
    "¬": r"\lnot",
    "′": r"'",
    "△": r"\triangle",
}
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u0304": "=",
    "\u0306": "u ",
    "\u0307": ".",
    "\u030a": "r ",
    "\u030b": "H ",
    "\u030c": "v ",
    "\u0327": "c ",
    "\u0328": "k ",
    "\u0323": "d ",
}
GREEK_NAMES = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", GREEK_NAMES.split(), strict=True))

LONE = re.compile(r"([-,'])\{\}(?!\1)")  # a sign that cannot be part of a ligature


def escape(text: str) -> str:
    """A text as LaTeX, in one line."""
    text = re.sub(r"(\d) %", "\\1\u202f%", unicodedata.normalize("NFC", text))  # no line begins with the sign
    text = re.sub(r"\b([pnF]) ([=<]) (?=\d)", "\\1\u00a0\\2\u00a0", text)
    words = re.split(r"(\s+)", text)
    # A no-break space is white space for `re`, and is to stay what it is.
    made = "".join(_space(word) if not word.strip() else _word(word) for word in words)
    return LONE.sub(r"\1", made)


def _space(text: str) -> str:
    kept = [SPECIAL[letter] for letter in text if letter in SPECIAL]
    return "".join(kept) if kept else " " * bool(text)


def _word(word: str) -> str:
    letters = [_letter(letter) for letter in word]
    if len(word) <= LONG_WORD:
        return "".join(letters)
    made, since = "", 0
    for letter, written in zip(word, letters, strict=True):
        since += 1
        made += written
        if since >= LONG_WORD or not (letter.isalnum() or letter in "([{<'\"`"):
            made, since = made + BREAK, 0
    return made


def _letter(letter: str) -> str:
    if letter in SPECIAL:
        return SPECIAL[letter]
    if " " <= letter <= "~":
        return letter
    if letter in MATH:
        return rf"\ensuremath{{{MATH[letter]}}}"
    if letter in GREEK:
        return rf"\ensuremath{{\{GREEK[letter]}}}"
    return _script(letter) or _accented(letter) or rf"\texttt{{U+{ord(letter):04X}}}{BREAK}"


def _script(letter: str) -> str:
    """A digit or letter above or below the line."""
    kind, _, rest = unicodedata.decomposition(letter).partition(" ")
    if kind not in ("<super>", "<sub>") or " " in rest:
        return ""
    return rf"\text{'super' if kind == '<super>' else 'sub'}script{{{_letter(chr(int(rest, 16)))}}}"


def _accented(letter: str) -> str:
    """A Latin letter with one accent."""
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) != 2 or not ("A" <= parts[0] <= "z" and parts[0].isalpha()) or parts[1] not in ACCENTS:
        return ""
    return rf"\{ACCENTS[parts[1]]}{{{parts[0]}}}".replace(" {", "{")
