"""The colours and shapes of the diagram in SVG, light and dark, on screens and on paper."""

from base64 import b64encode
from hashlib import sha256
from typing import Final

_LIGHT: Final = (
    "--paper:#fff;--ink:#15191e;--muted:#56606b;--edge:#7b8794;--box:#fff;--room:#f3f5f7;"
    "--ORIGIN:#d5ecd9;--CAMERA:#d5ecd9;--CONTROL_UNIT:#e3e8d0;--PASSING:#e3e7ec;"
    "--PROCESSING:#e6dff3;--SINK:#d6e5f6;--TRUNK:#f5e6c8;"
    "--error:#b3001b;--warning:#8a5a00;--info:#30688f;--sign:#fff;--change:#a3007f;"
    "--SDI:#1766a6;--HDMI:#6b35a8;--DP:#9a3a86;--DVI:#9a3a86;--HDBASET:#a34d12;--FIBRE:#0b7a7a;"
    "--CAMERA-CABLE:#1b7a3a;--IP:#4d5763;--REFERENCE:#7a6a00;--OPEN:#5f6975"
)
_DARK: Final = (
    "--paper:#14181c;--ink:#eef1f4;--muted:#a7b1bc;--edge:#77828e;--box:#1e242a;--room:#191e23;"
    "--ORIGIN:#244a2e;--CAMERA:#244a2e;--CONTROL_UNIT:#3d4526;--PASSING:#343c45;"
    "--PROCESSING:#3e3358;--SINK:#23425f;--TRUNK:#54431c;"
    "--error:#ff7a85;--warning:#f0b84a;--info:#86bfe8;--sign:#14181c;--change:#ff8ade;"
    "--SDI:#6db6f2;--HDMI:#bd94ef;--DP:#ea92d6;--DVI:#ea92d6;--HDBASET:#f0a06a;--FIBRE:#5fd0d0;"
    "--CAMERA-CABLE:#72cf8f;--IP:#b4bec9;--REFERENCE:#d9c95a;--OPEN:#98a3af"
)
_DASHES: Final = {
    "SDI": "", "HDMI": "7 3", "DP": "7 3 2 3", "DVI": "4 3", "VGA": "2 2", "HDBASET": "10 3",
    "FIBRE": "", "CAMERA": "", "IP": "2 3", "REFERENCE": "1 3", "": "",
}  # fmt: skip
FAMILIES: Final = tuple(_DASHES)
"""The families of signal that have a line of their own; "" is that of all others."""


def _families() -> str:
    rules = []
    for family, dashes in _DASHES.items():
        colour = {"CAMERA": "CAMERA-CABLE", "": "OPEN", "VGA": "DVI"}.get(family, family)
        width = "2.6" if family in {"CAMERA", "FIBRE"} else "1.6"
        dash = f"stroke-dasharray:{dashes};" if dashes else ""
        rules.append(f".f-{family or 'OPEN'}{{stroke:var(--{colour});stroke-width:{width};{dash}}}")
        rules.append(f".p-{family or 'OPEN'}{{fill:var(--{colour})}}")
    return "".join(rules)


def _roles() -> str:
    roles = ("ORIGIN", "CAMERA", "CONTROL_UNIT", "PASSING", "PROCESSING", "SINK", "TRUNK")
    return "".join(f".r-{role}{{fill:var(--{role})}}" for role in roles)


STYLE: Final = (
    f":root{{{_LIGHT};background:var(--paper);color-scheme:light dark}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    "@page{size:A3 landscape;margin:8mm}"
    f"@media print{{:root{{{_LIGHT};width:100%;height:100%}}}}"
    "text{font-family:Arial,Helvetica,'Liberation Sans','Nimbus Sans',sans-serif;"
    "fill:var(--ink);font-size:9.5px}"
    "a{text-decoration:none}a:hover .outline,a:focus .outline{stroke-width:3}"
    "a:hover .wire,a:focus .wire{stroke-width:4}"
    ".paper{fill:var(--paper)}.show{font-size:24px;font-weight:700}.about{font-size:13px}"
    ".muted{fill:var(--muted)}.label{font-size:12.5px;font-weight:700}.name{fill:var(--muted)}"
    ".small{font-size:8.5px}.port{font-size:9.5px}.room{fill:var(--room)}.section{font-size:13px;"
    "font-weight:700}.body{fill:var(--box)}.outline{fill:none;stroke:var(--edge);stroke-width:1.1}"
    ".typed{stroke-dasharray:4 3}.wire,.halo,.route,.trunk{fill:none}.halo{stroke:var(--paper);"
    "stroke-width:5}.route{stroke:var(--muted);stroke-width:1;opacity:.55}"
    ".trunk{stroke:var(--edge);stroke-width:1;stroke-dasharray:1 2}.over{paint-order:stroke;"
    "stroke:var(--box);stroke-width:3px;stroke-linejoin:round}.cable-label{paint-order:stroke;"
    "stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}"
    ".spare{fill:none;stroke:var(--edge);stroke-width:1}"
    f"{_families()}{_roles()}"
    ".s-error{fill:var(--error)}.s-warning{fill:var(--warning)}.s-info{fill:var(--info)}"
    ".code{font-size:8.5px;font-weight:700}.sign{stroke:var(--sign);stroke-width:1.6;fill:none;"
    "stroke-linecap:round}"
    ".o-error{stroke:var(--error);stroke-width:2.6}.o-warning{stroke:var(--warning);"
    "stroke-width:2.2}.w-error{stroke:var(--error);stroke-width:2.6}.w-warning{"
    "stroke:var(--warning);stroke-width:2.2}"
    ".changed{fill:none;stroke:var(--change);stroke-width:7;opacity:.35}"
    ".change{fill:var(--change);font-size:8.5px;font-weight:700}"
)
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""The Content-Security-Policy: nothing is loaded, nothing runs, and only this style counts."""
SYMBOLS: Final = (
    '<symbol id="error" viewBox="0 0 12 12"><path class="s-error" d="M3.5 0h5L12 3.5v5L8.5 12h-5'
    'L0 8.5v-5z"/><path class="sign" d="M4 4l4 4M8 4l-4 4"/></symbol>'
    '<symbol id="warning" viewBox="0 0 12 12"><path class="s-warning" d="M6 0l6 12H0z"/>'
    '<path class="sign" d="M6 4.6v3M6 9.8v.1"/></symbol>'
    '<symbol id="info" viewBox="0 0 12 12"><circle class="s-info" cx="6" cy="6" r="6"/>'
    '<path class="sign" d="M6 5.6v3.4M6 3v.1"/></symbol>'
)
