"""What to say of a file that is of a known format but damaged. Runs only in the parsing process."""

from __future__ import annotations

from pathlib import PurePosixPath

from intellirouter.errors import UnsupportedMediaType

_CALLED = {
    **dict.fromkeys((".docx", ".docm", ".dotx", ".odt", ".ott", ".rtf"), "a text document"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "a spreadsheet"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".odp", ".odg"), "a presentation"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp"), "a picture"),
    **dict.fromkeys((".eml", ".msg", ".mht", ".mhtml", ".mbox", ".mbx"), "mail"),
    ".pdf": "a PDF",
    ".epub": "a book",
    ".ipynb": "a notebook",
}


def damaged(name: str, what: str = "") -> UnsupportedMediaType:
    """The refusal. `what` it is, where its name does not say it."""
    called = what or _CALLED.get(PurePosixPath(name).suffix.lower(), "")
    as_what = f" as {called}" if called else ""
    return UnsupportedMediaType(
        f"is damaged or was cut short: it cannot be read{as_what}. "
        "Open it in the program that made it, save it anew and send that"
    )
