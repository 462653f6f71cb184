"""A question as a query: without what is only courtesy. A pure function."""

from __future__ import annotations

import re

_COURTESY = re.compile(
    r"^(?:(?:hi|hello|hey|dear \w+|ok|okay|so|well)[,.! ]\s*)?(?:please[, ]+)?(?:(?:can|could|would|will) you (?:please )?"
    r"(?:tell|explain to|show|help|give|find|let) me(?: know)?(?: about| out| with| the)?|i(?:'d| would) (?:like|love|need|want) to know"
    r"(?: about)?|i (?:want|need) to know(?: about)?|i(?:'m| am) (?:looking for|interested in|wondering(?: about| if| whether)?)"
    r"|do you (?:happen to )?know(?: about| if| whether)?|tell me(?: about)?|please)[,:]?\s+",
    re.IGNORECASE,
)
_END = re.compile(r"[,\s]*(?:please|thanks|thank you)?[\s.!?]*$", re.IGNORECASE)


def rewritten(query: str) -> str:
    """The query, or what is left of it where that still says something."""
    bare = _END.sub("", _COURTESY.sub("", query.strip()))
    return bare if len(bare) > 2 else query
