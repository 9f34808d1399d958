"""Hides credentials in what repeats a client's words: log lines, errors, the audit.

Somebody may put a token where none belongs, such as into a path. Tokens, tickets and cookies are
known by their form, those of the settings by what they are.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

_MASK: Final = "[secret]"
_SHORTEST: Final = 12
"""Characters; to hide a shorter word would hide much else."""
# Two long parts with a dot between: ``sb_<key>.<secret>``, a signed cookie or ticket, a JWT. Each
# part is read once, as a path of many thousand characters must not hold up the service.
_FORM: Final = r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{30,}+"
_pattern = re.compile(_FORM)


def hide(secrets: Iterable[str]) -> None:
    """Hide these from now on, too, in the place of any others; short ones are not."""
    global _pattern  # noqa: PLW0603  # whoever logs has no settings at hand
    long = {secret for secret in secrets if len(secret) >= _SHORTEST}
    forms = sorted(long | {json.dumps(secret)[1:-1] for secret in long}, key=len, reverse=True)
    _pattern = re.compile("|".join([*map(re.escape, forms), _FORM]))


def masked(text: str) -> str:
    """Return a text with each credential replaced."""
    return _pattern.sub(_MASK, text)
