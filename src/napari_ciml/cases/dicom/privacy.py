"""Keeping a patient's name and identifiers out of what is shown."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_SHORTEST = 3
"""Letters or digits from which on a part of a name or an identifier is looked for."""


@dataclass(frozen=True)
class PatientIdentifiers:
    """What would tell who the patient is: parts of names and identifiers, folded.

    Parameters
    ----------
    parts : frozenset of str
        In lower case, without accents, letters and digits only.
    number : str
        The patient's identifier, to tell patients apart; empty if it was removed.
    """

    parts: frozenset[str]
    number: str = ""

    @classmethod
    def of(cls, number: str, others: Iterable[str]) -> "PatientIdentifiers":
        """Take a header's values apart: the patient's identifier, names and other numbers."""
        values = [number, *others]
        words = [word for value in values for word in re.split(r"[\W_]+", _folded(value))]
        whole = [re.sub(r"[\W_]+", "", _folded(value)) for value in values]
        kept = (part for part in (*words, *whole) if len(part) >= _SHORTEST)
        return cls(frozenset(part for part in kept if part not in _NOBODY), number.strip())

    def is_named_in(self, text: str) -> bool:
        """Whether a text holds a part of the name or an identifier."""
        words = set(re.split(r"[\W_]+", _folded(text)))
        together = re.sub(r"[\W_]+", "", _folded(text))
        # A short name within a longer word is chance; a long one is not.
        return any(part in words or (len(part) > 4 and part in together) for part in self.parts)


def redact(text: str, people: Iterable[PatientIdentifiers], otherwise: str) -> str:
    """Return a text, or something else if it tells who the patient is."""
    return otherwise if any(person.is_named_in(text) for person in people) else text


_NOBODY = {"anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "patient", "test",
           "name", "case", "brain", "phantom", "glioma", "head"}  # fmt: skip
"""Words that stand where a name was removed, or tell nobody's."""


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()
