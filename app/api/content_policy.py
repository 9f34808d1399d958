"""Content-Security-Policy: what a browser may do with an answer."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from typing import Final

CONTENT_POLICY: Final = "content-security-policy"
ANSWERS: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: nothing at all."""
_OURS: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; "
    "base-uri 'self'; frame-ancestors 'none'"
)


class _InlineParts(HTMLParser):
    """Collects what stands between the tags of a page's scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._open: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag if tag in self.texts and "src" not in dict(attrs) else None
        if self._open:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the parser's signature
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data


def page_policy(page: str) -> str:
    """Return the policy of a page: files of our origin, and the scripts and styles within it.

    Those within are named by their hash, so that what somebody manages to put into the page does
    not run.
    """
    parts = _InlineParts(page).texts
    scripts = " ".join(["script-src 'self'", *_hashes(parts["script"])])
    styles = " ".join(["style-src 'self'", *_hashes(parts["style"])])
    return f"{_OURS}; {scripts}; {styles}"


def _hashes(texts: list[str]) -> Iterator[str]:
    for text in texts:
        # A browser reads CRLF of a page as LF.
        digest = sha256(text.replace("\r\n", "\n").replace("\r", "\n").encode()).digest()
        yield f"'sha256-{b64encode(digest).decode()}'"
