"""Redact names and identifiers of patients in displayed text."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_MIN_PART_LENGTH = 3
"""Smallest length of a part of a name or an identifier that is searched for."""


@dataclass(frozen=True)
class PatientIdentifiers:
    """Parts of the names and identifiers of a patient, for searching them in text.

    Parameters
    ----------
    parts : frozenset of str
        Letters and digits in lower case, without accents.
    number : str
        PatientID, to distinguish patients; empty if it was removed.
    """

    parts: frozenset[str]
    number: str = ""

    @classmethod
    def of(cls, number: str, others: Iterable[str]) -> "PatientIdentifiers":
        """Split the values of a header into parts.

        Parameters
        ----------
        number : str
            PatientID.
        others : iterable of str
            Names, dates and other identifiers.
        """
        values = [number, *others]
        words = [word for value in values for word in re.split(r"[\W_]+", _fold(value))]
        joined = [re.sub(r"[\W_]+", "", _fold(value)) for value in values]
        parts = (part for part in (*words, *joined) if len(part) >= _MIN_PART_LENGTH)
        return cls(frozenset(part for part in parts if part not in _PLACEHOLDERS), number.strip())

    def is_named_in(self, text: str) -> bool:
        """Whether a text contains a part of a name or an identifier."""
        words = set(re.split(r"[\W_]+", _fold(text)))
        joined = re.sub(r"[\W_]+", "", _fold(text))
        # Short parts match only full words: within a longer word they occur by chance.
        return any(part in words or (len(part) > 4 and part in joined) for part in self.parts)


def redact(text: str, people: Iterable[PatientIdentifiers], replacement: str) -> str:
    """Return a text, or its replacement if it identifies a patient.

    Parameters
    ----------
    text : str
        Text to be displayed.
    people : iterable of PatientIdentifiers
        Identifiers to search for.
    replacement : str
        Text without identifiers.
    """
    return replacement if any(person.is_named_in(text) for person in people) else text


_PLACEHOLDERS = {
    "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "patient", "test",
    "name", "case", "brain", "phantom", "glioma", "head",
}  # fmt: skip
"""Placeholders of removed names, and words that identify nobody."""


def _fold(text: str) -> str:
    """Return a text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
