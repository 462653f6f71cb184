"""The typed keys under which handlers find what their role needs: `request.app[STATE]`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from intellirouter.alerts.desk import Desk
from intellirouter.config.load import Loaded
from intellirouter.config.schema.settings import Settings
from intellirouter.identity.store import PeopleStore
from intellirouter.inference.limits.doors import Doors
from intellirouter.inference.runtime_settings import RuntimeSettings
from intellirouter.inference.virtual_keys import KeyStore
from intellirouter.memory.store import StateStore
from intellirouter.peers.contract import ChainRunner, ChatCompleter, PersonaResolver, Retriever
from intellirouter.records.recorder import Recorder
from intellirouter.records.records import Records
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.audit.auditor import Auditor
from intellirouter.security.authority import Authority
from intellirouter.security.keeping import Keeping
from intellirouter.security.replay import Memory
from intellirouter.telemetry.access import AccessLog
from intellirouter.telemetry.metrics import Metrics
from intellirouter.telemetry.tracing.span import Tracer
from intellirouter.transport.outgoing.door import OutgoingDoor

ALERTS: web.AppKey[Desk] = web.AppKey("alerts", Desk)
"""What is known of alerts, and what people do about them."""
SETTINGS: web.AppKey[Settings] = web.AppKey("settings")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)
ACCESS_LOG: web.AppKey[AccessLog] = web.AppKey("access_log", AccessLog)
TRACERS: web.AppKey[Callable[[str], Tracer | None]] = web.AppKey("tracers")
"""The tracer of a role, by its name; None where this node traces nothing."""
KEYS: web.AppKey[KeyStore] = web.AppKey("keys", KeyStore)
"""The keys made at run time, to change them."""
PEOPLE: web.AppKey[PeopleStore] = web.AppKey("people", PeopleStore)
"""Users, service accounts and teams, to change them."""
KEY_RING: web.AppKey[KeyRing] = web.AppKey("key_ring", KeyRing)
SEEN: web.AppKey[Memory] = web.AppKey("seen", Memory)
"""The calls of other roles that were taken, so that none is taken twice, over HTTP or gRPC."""
AUTHORITY: web.AppKey[Authority] = web.AppKey("authority")
"""Who the owner of stored work is now."""
DOORS: web.AppKey[Doors] = web.AppKey("doors", Doors)
"""The limits of keys at the doors of roles that ask no models themselves."""
RECORDER: web.AppKey[Recorder | None] = web.AppKey("recorder")
"""Where every role notes its requests; None where nothing is recorded."""
RECORDS: web.AppKey[Records | None] = web.AppKey("records")
"""The same record, to be asked."""
OUTGOING: web.AppKey[OutgoingDoor] = web.AppKey("outgoing", OutgoingDoor)
"""Through which everything goes out that somebody else named the address of."""
AUDITOR: web.AppKey[Auditor | None] = web.AppKey("auditor")
"""What writes down who did what; None where nothing is audited."""
KEEPING: web.AppKey[Keeping] = web.AppKey("keeping", Keeping)
"""How much a tenant keeps in all."""
RUNTIME: web.AppKey[RuntimeSettings] = web.AppKey("runtime_settings")
"""What is set at run time, on top of the file."""
STATE: web.AppKey[StateStore] = web.AppKey("state")
CHAT: web.AppKey[ChatCompleter] = web.AppKey("chat")
RETRIEVER: web.AppKey[Retriever | None] = web.AppKey("retriever")
PERSONAS: web.AppKey[PersonaResolver | None] = web.AppKey("personas")
DRAIN_NODE: web.AppKey[Callable[[bool], None]] = web.AppKey("drain_node")
"""Makes every role of this node not ready (True), or ready again, while it goes on serving."""
LOADED: web.AppKey[Callable[[], Loaded]] = web.AppKey("loaded")
"""The configuration in force, with where each value came from."""
ROLE_APPS: web.AppKey[dict[str, web.Application]] = web.AppKey("role_apps")
"""The applications of the roles of this process, by the role's name, as they come up."""
CHAINS: web.AppKey[ChainRunner | None] = web.AppKey("chains")
