"""Where outcomes go and weights come from: every process writes down, one at a time learns, all follow.

Writing: decisions are kept for a week under the id of their request, outcomes are appended to the log of their group. Learning:
whoever holds the lease reads each log from where the group's state says it was read to, and writes state and cursors in
one conditional write; one killed in between has changed nothing, and the next begins where the state is. Following: new
weights are announced, and read again each minute in case the news was lost. While the store is away, the last weights hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog

from intellirouter.errors import StateError
from intellirouter.inference.background import background
from intellirouter.inference.evidence import Evidence, Kept, News
from intellirouter.inference.learned import Learned
from intellirouter.inference.learning import keeping
from intellirouter.inference.learning.keeping import Learning
from intellirouter.inference.learning.weights import decode, encode, fitted
from intellirouter.inference.lessons import learn
from intellirouter.memory.store import StateStore
from intellirouter.security.ownership import owned
from intellirouter.telemetry.outage import Outage

KEPT_SECONDS = 8 * 86_400.0
"""How long a decision waits for its outcome: a week, and a day to spare."""
TRAIN_SECONDS = 60.0
FLUSH_SECONDS = 0.2
_REREAD_SECONDS = 60.0
_LEASE, _LEASE_SECONDS = "learning:trainer", 20.0
_LOG, _STATE, _WEIGHTS = "learning:log:", "learning:state:", "learning:weights:"
_DECISION, _RESPONSE = "learning:decision:", "learning:response:"
_NEWS, _STAYS = "router:all:weights", "router:all:stays"
_PIECE_SECONDS = 600
_LOG_SECONDS = 86_400.0
MAX_WAITING = 20_000
MAX_KEPT_PER_FLUSH = 200
_BATCH = 2_000
"""Outcomes learnt at once: what else is in the log waits for the next round."""

log = structlog.get_logger(__name__)
_evidence = msgspec.msgpack.Decoder(Evidence)
_kept = msgspec.msgpack.Decoder(Kept)
_encode = msgspec.msgpack.Encoder().encode


class _Stay(msgspec.Struct, frozen=True):
    origin: str
    stays: list[tuple[str, str]]


class School:
    """One per process. `every` seconds between rounds of learning."""

    def __init__(self, learned: Learned, store: StateStore, every: float = TRAIN_SECONDS) -> None:
        self._learned = learned
        self._store = store
        self._every = every
        self._origin = uuid.uuid4().hex
        self._waiting: deque[News] = deque(maxlen=MAX_WAITING)
        self._writing = asyncio.Lock()
        self._outage = Outage(log, "learning.not_written", "learning.written_again")
        self._woken = asyncio.Event()
        self._learnt: dict[str, tuple[int, Learning]] = {}
        self._ignored: set[str] = set()
        """Groups whose weights cannot be read, which is said once."""
        self.trained = 0
        learned.listener = self._waiting.append

    async def find(self, tenant: str, request_id: str, response_id: str) -> Kept | None:
        """The kept decision of a request or of a response. Raises `StateUnavailable`."""
        await self.flush()
        found = await self._found(tenant, request_id, response_id)
        if found is None:  # another process may still have it in hand
            await asyncio.sleep(2 * FLUSH_SECONDS)
            found = await self._found(tenant, request_id, response_id)
        return found

    async def _found(self, tenant: str, request_id: str, response_id: str) -> Kept | None:
        name = request_id
        if not name and response_id:
            found = await self._store.get(_RESPONSE + owned(tenant, bare(response_id)))
            name = found.decode() if found is not None else ""
        value = await self._store.get(_DECISION + owned(tenant, name)) if name else None
        return None if value is None else _kept.decode(value)

    async def give(self, tenant: str, name: str, one: Evidence) -> bool:
        """Write one outcome down, unless one of this name was within the week, on any node; whether it was written.

        Raises `StateUnavailable`, and then it may be given again.
        """
        key = "learning:given:" + owned(tenant, name)
        if await self._store.get(key) is not None:
            return False
        await self.take(
            [one]
        )  # first: given again after an outage it has the same name, and is learnt from once
        return await self._store.set(key, b"1", ttl=KEPT_SECONDS, only_if_absent=True)

    async def take(self, found: list[Evidence]) -> None:
        """Write outcomes into the logs of their groups. Raises `StateUnavailable`."""
        piece = int(time.time() // _PIECE_SECONDS)
        by_group: dict[str, list[bytes]] = {}
        for one in found:
            by_group.setdefault(one.group, []).append(_encode(one))
        for group, items in by_group.items():
            await self._store.append(f"{_LOG}{group}:{piece}", items, ttl=_LOG_SECONDS)

    async def fresh(self, found: Sequence[Evidence]) -> list[Evidence]:
        """Those that were not taken before, as far back as that is remembered. Raises `StateUnavailable`."""
        fresh: list[Evidence] = []
        known = {group: await self._names(group) for group in {one.group for one in found}}
        for one in found:
            if one.id not in known[one.group]:
                known[one.group].add(one.id)
                fresh.append(one)
        return fresh

    async def _names(self, group: str) -> set[str]:
        """Of the outcomes that were learnt, and of those that wait in the log."""
        value = await self._store.get(_STATE + group)
        names = set((await asyncio.to_thread(_decoded, group, value)).recent)
        async for key in self._store.scan(f"{_LOG}{group}:"):
            items = await self._store.slice(key)
            names.update(one.id for item in items if (one := _readable(item)) is not None)
        return names

    def train_soon(self) -> None:
        """Do not wait for the minute."""
        self._woken.set()

    async def flush(self) -> None:
        """Write what has gathered, after what is being written. What cannot be written stays, the newest of it."""
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not taken:
            return
        try:
            if stays := [news.stays for news in taken if news.stays is not None]:
                await self._store.publish(_STAYS, msgspec.json.encode(_Stay(self._origin, stays)))
            kept = [news.kept for news in taken if news.kept is not None]
            for one in kept[-MAX_KEPT_PER_FLUSH:]:
                await self._store.set(
                    _DECISION + owned(one.tenant, one.request_id), _encode(one), ttl=KEPT_SECONDS
                )
                if one.response_id:
                    key = _RESPONSE + owned(one.tenant, bare(one.response_id))
                    await self._store.set(key, one.request_id.encode(), ttl=KEPT_SECONDS)
            await self.take([news.evidence for news in taken if news.evidence is not None])
            self._outage.done()
        except StateError as error:
            self._outage.failed(reason=error.message)
            # Evidence has names, so what was written already is not learnt twice.
            for news in reversed(taken):
                if len(self._waiting) < MAX_WAITING:
                    self._waiting.appendleft(news)

    async def train(self) -> int:
        """One round, if nobody else is at it; how many outcomes were learnt. Raises `StateUnavailable`."""
        lease = await self._store.acquire(_LEASE, self._origin, _LEASE_SECONDS)
        if lease is None:
            return 0
        pieces: dict[str, list[str]] = {}
        async for key in self._store.scan(_LOG):
            pieces.setdefault(key.removeprefix(_LOG).rpartition(":")[0], []).append(key)
        learnt = 0
        for group, keys in sorted(pieces.items()):
            learnt += await self._train_group(group, sorted(keys))
            lease = await self._store.renew(lease, _LEASE_SECONDS)
        await self._store.release(lease)
        return learnt

    async def _train_group(self, group: str, keys: list[str]) -> int:
        read = await self._store.get_versioned(_STATE + group)
        known = self._learnt.get(group)
        learning = known[1] if known is not None and known[0] == read.version else _decoded(group, read.value)
        learning.cursors = {key: place for key, place in learning.cursors.items() if key in keys}
        found: list[Evidence] = []
        for key in keys:
            start = learning.cursors.get(key, 0)
            items = await self._store.slice(key, start, start + _BATCH - len(found))
            learning.cursors[key] = start + len(items)
            found.extend(one for item in items if (one := _readable(item)) is not None)
            if len(found) >= _BATCH:
                break
        if not found:
            if known is None or known[0] != read.version:
                await self._publish(group, learning, read.version)
            return 0
        self._learnt.pop(group, None)  # until it is written, what is in memory is ahead of what holds
        weights = await asyncio.to_thread(learn, learning, found, time.time())
        state, sent = await asyncio.to_thread(lambda: (keeping.encode(learning), encode(weights)))
        version = await self._store.put_if(_STATE + group, state, read.version)
        if version is None:
            log.info("learning.overtaken", group=group)
            return 0
        self._learnt[group] = (version, learning)
        await self._store.set(_WEIGHTS + group, sent)
        await self._store.publish(_NEWS, group.encode())
        self.trained += len(found)
        log.info("learning.trained", group=group, outcomes=len(found), version=weights.version)
        return len(found)

    async def _publish(self, group: str, learning: Learning, version: int) -> None:
        """Make the weights what a state says that somebody else wrote: they may have died before, or a backup was put back."""
        if learning.outcomes:
            weights = await asyncio.to_thread(fitted, learning.group, learning.outcomes, learning.trained)
            await self._store.set(_WEIGHTS + group, await asyncio.to_thread(encode, weights))
            await self._store.publish(_NEWS, group.encode())
        self._learnt[group] = (version, learning)

    async def follow(self, group: str) -> None:
        """Take over the weights of a group. Raises `StateUnavailable`."""
        value = await self._store.get(_WEIGHTS + group)
        if value is None:
            self._learned.weights.pop(group, None)
            return
        try:
            weights = await asyncio.to_thread(decode, value)
        except ValueError as error:
            if group not in self._ignored:
                log.warning("learning.weights_ignored", group=group, reason=str(error))
            self._ignored.add(group)
            return
        self._ignored.discard(group)
        known = self._learned.weights.get(group)
        if known is None or known.version != weights.version:
            self._learned.weights[group] = weights

    async def follow_all(self) -> None:
        """Take over the weights of every group."""
        groups = [key.removeprefix(_WEIGHTS) async for key in self._store.scan(_WEIGHTS)]
        for group in groups:
            await self.follow(group)
        for gone in self._learned.weights.keys() - set(groups):
            self._learned.weights.pop(gone, None)

    async def exported(self, group: str) -> bytes | None:
        """What was learnt of a group, as `imported` takes it."""
        return await self._store.get(_STATE + group)

    async def imported(self, group: str, data: bytes) -> None:
        """Put an exported state in place. Raises `ValueError` for anything else, `StateUnavailable`."""
        learning = await asyncio.to_thread(keeping.decode, data)
        learning.cursors = {key: await self._length(key) async for key in self._store.scan(f"{_LOG}{group}:")}
        weights = await asyncio.to_thread(fitted, learning.group, learning.outcomes, learning.trained)
        await self._store.set(_STATE + group, await asyncio.to_thread(keeping.encode, learning))
        await self._store.set(_WEIGHTS + group, await asyncio.to_thread(encode, weights))
        await self._store.publish(_NEWS, group.encode())

    async def _length(self, key: str) -> int:
        return len(await self._store.slice(key))

    async def forget(self, group: str) -> None:
        """Let everything learnt of a group go, on every node."""
        logs = [key async for key in self._store.scan(f"{_LOG}{group}:")]
        await self._store.delete(_STATE + group, _WEIGHTS + group, *logs)
        await self._store.publish(_NEWS, group.encode())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write, learn and follow while the context is open."""
        work = {
            "learning_flush": self._flushing(),
            "learning_train": self._training(),
            "learning_follow": self._following(),
            "learning_stays": self._staying(),
        }
        try:
            async with background(**work):
                yield
        finally:
            await self.flush()

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:  # one bad entry must not end all later ones
                log.exception("learning.crashed")

    async def _training(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._woken.wait()
            self._woken.clear()
            try:
                if await self.train() >= _BATCH:
                    self._woken.set()  # there may be more
                    continue
            except StateError as error:
                log.warning("learning.paused", reason=error.message)
            except Exception:  # one bad group must not end all later rounds
                log.exception("learning.crashed")

    async def _following(self) -> None:
        heard = asyncio.Event()
        groups: set[str] = set()

        async def listen() -> None:
            async with self._store.subscribe(_NEWS) as events:
                async for event in events:
                    groups.add(event.payload.decode("utf-8", "replace"))
                    heard.set()

        async with background(learning_news=listen()):
            while True:
                try:
                    await self.follow_all()
                    while True:
                        heard.clear()
                        async with asyncio.timeout(_REREAD_SECONDS):
                            await heard.wait()
                        while groups:
                            await self.follow(groups.pop())
                except TimeoutError:
                    continue
                except StateError as error:
                    log.debug("learning.not_read", reason=error.message)
                    await asyncio.sleep(1.0)

    async def _staying(self) -> None:
        async with self._store.subscribe(_STAYS) as events:
            async for event in events:
                try:
                    news = msgspec.json.decode(event.payload, type=_Stay)
                except msgspec.MsgspecError:
                    continue
                if news.origin != self._origin:
                    for name, target in news.stays:
                        self._learned.heard(name, target)


def bare(response_id: str) -> str:
    """A response's id without what dialects put before it: `chatcmpl-`, `msg_`, `resp_`."""
    for mark in ("resp_", "msg_", "chatcmpl-", "cmpl-"):  # ours stand before a provider's
        response_id = response_id.removeprefix(mark)
    return response_id[:128]


def _readable(item: bytes) -> Evidence | None:
    try:
        return _evidence.decode(item)
    except msgspec.MsgspecError:
        log.warning("learning.outcome_unreadable")
        return None


def _decoded(group: str, value: bytes | None) -> Learning:
    if value is None:
        return Learning()
    try:
        return keeping.decode(value)
    except ValueError as error:
        log.warning("learning.state_ignored", group=group, reason=str(error))
        return Learning()
