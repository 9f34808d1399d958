"""Entity tags (RFC 9110): what lets a client ask whether its copy is still the newest.

An entity's tag is a digest of its bytes. A list's is the number of its production's last change
with a fingerprint of the code that made it, so that another version never confirms this one's.
"""

import re
from hashlib import blake2b
from typing import Final

from app import VERSION

_TAG: Final = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def entity_tag(body: bytes) -> str:
    """Return the strong tag of one entity's JSON."""
    return f'"{blake2b(body, digest_size=8).hexdigest()}"'


def list_tag(state: str, fingerprint: str) -> str:
    """Return the tag of rows by their state token, if any: weak, as answers may be compressed."""
    return f'W/"{state}-{fingerprint}"' if state else ""


def fingerprint(sql: str, revision: str) -> str:
    """Return 8 hex digits that stand for a statement, this version and its newest migration."""
    content = f"{VERSION}\n{revision}\n{sql}".encode()
    return blake2b(content, digest_size=4).hexdigest()


def matches(if_none_match: bytes, tag: str) -> bool:
    """Return whether ``If-None-Match`` names a tag, if there is one, compared weakly."""
    if not tag or if_none_match.strip() == b"*":
        return bool(tag)
    opaque = tag.removeprefix("W/").encode()
    return opaque in if_none_match and opaque in _TAG.findall(if_none_match)


def allows(if_match: bytes, tag: str) -> bool:
    """Return whether ``If-Match``, if any, lets a write of this tag through; weak ones never do."""
    if not if_match or if_match.strip() == b"*":
        return True
    strong = [match[0] for match in _TAG.finditer(if_match)]
    return tag.encode() in strong
