"""Every component this build can open."""

from __future__ import annotations

from typing import Any

from intellirouter.app.component import Component
from intellirouter.app.components import router, shared

COMPONENTS: tuple[Component[Any], ...] = (*shared.COMPONENTS, *router.COMPONENTS)
