"""Which id of a model was meant by one that it does not have: another case, blanks around it, another form of Unicode, a slip."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from mr_als.errors import did_you_mean

if TYPE_CHECKING:
    from mr_als.models.model import Names

__all__ = ["did_you_mean_id"]

# bytes of ids that are searched for the same one in other letters, and ids that are compared letter by letter: a second at most
TEXT, COMPARED = 256 << 20, 20_000


def did_you_mean_id(ids: Names, name: str) -> str:
    """Return what a message about an unknown id ends with: the one that is closest, if any is close.

    Of many ids only the first, which hashing makes a sample, are compared letter by letter.
    """
    if not name.strip():
        return ""  # it would be found at the end of the text
    forms = {unicodedata.normalize(form, name.strip()).encode(errors="surrogatepass") for form in ("NFC", "NFD")}
    same = rb"(?mi)^[ \t]*(?:" + b"|".join(re.escape(form) for form in sorted(forms)) + rb")[ \t]*$"
    if found := re.search(same, ids.text[:TEXT].data):
        return f"; did you mean {found[0].decode()!r}?"
    return did_you_mean(name, (ids[row] for row in range(min(len(ids), COMPARED))))
