"""Every persona of a directory, its versions, and those behind it: the shared ones, or those that ship with IntelliRouter.

A persona is a file `NAME.toml` or `NAME.md`; a file `_NAME.md` is a part that prompts include as `{{ parts.NAME }}`. Each
version that was ever seen is a line of `history.jsonl`, so a file edited by hand has a history too, and any version can
come back. A file that does not hold is reported and its last good version stays.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from intellirouter.errors import Conflict, InvalidRequest, NotFound
from intellirouter.roles.persona_layer.history import HistoryFile, Version, take
from intellirouter.roles.persona_layer.persona import Persona, inherited
from intellirouter.roles.persona_layer.source import EXTENSIONS, InvalidPersona, parse, refuse
from intellirouter.roles.persona_layer.usable import undeclared
from intellirouter.security.keeping import Keeping

BUILTIN = Path(__file__).parent / "builtin"
MAX_DEPTH = 8
MAX_EARLIER = 256
"""Earlier versions that are kept ready."""
SHIPPED = 0
"""The version of a persona as it ships: the first that somebody writes is 1, and what came of both is counted apart."""

log = structlog.get_logger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """A persona that is in force. `own` is the file's word, `whole` includes what it inherits."""

    own: Persona
    whole: Persona
    version: int
    source: str
    extension: str
    builtin: bool
    parent: Persona | None = None
    """What it extends, with all that inherits itself."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a tenant may keep of personas and their earlier versions."""

    keeping: Keeping
    tenant: str


class Library:
    """Personas by name. Reads and writes one directory; `refresh` takes changes made by others.

    With `shared` it is a tenant's: what it has not itself is looked up there, and cannot be changed. `room` bounds what it has.
    """

    def __init__(self, directory: Path, shared: Library | None = None, room: Room | None = None) -> None:
        self.directory = directory
        self._shared = shared
        self._room = room
        self._linked_to = -1
        self.generation = 0
        self.problems: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._history: dict[str, list[Version]] = {}
        self._file = HistoryFile(directory)
        self._stamps: dict[str, tuple[int, int]] = {}
        self._orphans: set[str] = set()
        self._builtin: dict[str, Entry] = {}
        self._earlier: dict[tuple[str, str], Entry] = {}

    def open(self) -> None:
        """Read everything."""
        if self._shared is None:
            self.directory.mkdir(parents=True, exist_ok=True)
        for file in sorted(BUILTIN.iterdir()) if self._shared is None else ():
            if file.suffix in EXTENSIONS:
                text = file.read_text(encoding="utf-8")
                persona = parse(text, file.suffix, file.stem)
                self._builtin[file.stem] = Entry(persona, persona, SHIPPED, text, file.suffix, builtin=True)
        self._take_history()
        self.refresh()

    def refresh(self) -> bool:
        """Take what changed on disk; whether anything did."""
        seen = self._files()
        stamps = {stem: stamp for stem, (_, _, stamp) in seen.items()}
        changed = [stem for stem, stamp in stamps.items() if self._stamps.get(stem) != stamp]
        gone = self._stamps.keys() - stamps.keys()
        if not changed and not gone:
            return self._follow_shared()
        self._take_history()
        new: list[Version] = []
        for stem in gone:
            self._forget(stem)
        for stem in changed:
            path, extension, _ = seen[stem]
            self._read(stem, path, extension, new)
        self._stamps = stamps
        self._record(new)
        self._link()
        return True

    def _take_history(self) -> None:
        """Know of what others wrote, so that a version has one number: a command beside the node, or another node."""
        for version in self._file.news():
            take(self._history.setdefault(version.name, []), version)

    def _files(self) -> dict[str, tuple[str, str, tuple[int, int]]]:
        """Path, extension and stamp of each file of the directory, by its stem."""
        seen: dict[str, tuple[str, str, tuple[int, int]]] = {}
        try:
            items = list(os.scandir(self.directory))
        except FileNotFoundError:
            if self._shared is None:
                raise
            return seen  # a tenant that has none of its own
        for item in items:
            stem, _, extension = item.name.rpartition(".")
            if stem and f".{extension}" in EXTENSIONS and item.is_file():
                stat = item.stat()
                seen[stem] = (item.path, f".{extension}", (stat.st_mtime_ns, stat.st_size))
        return seen

    def _follow_shared(self) -> bool:
        """Inherit anew from shared personas that changed; whether any did."""
        if self._shared is None or self._linked_to == self._shared.generation:
            return False
        self._link()
        return True

    @property
    def parts(self) -> dict[str, str]:
        """What prompts may include, the directory's own before shared ones."""
        return self._parts if self._shared is None else {**self._shared.parts, **self._parts}

    def _behind(self) -> dict[str, Entry]:
        """What is there without the directory's own."""
        if self._shared is None:
            return self._builtin
        return {**self._shared._builtin, **self._shared._entries}  # noqa: SLF001  another of this class

    def is_shared(self, entry: Entry) -> bool:
        """True for the operator's, to everybody else."""
        return self._shared is None or entry.own.name not in self._entries

    def _read(self, stem: str, path: str, extension: str, new: list[Version]) -> None:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  ten thousand of them: a Path costs more than the reading
                text = file.read()
            if stem.startswith("_"):
                self._parts[stem[1:]] = text.strip()
                return
            digest = hashlib.sha256(text.encode()).hexdigest()
            versions = self._history.get(stem)
            proven = versions is not None and versions[-1].sha256 == digest
            persona = parse(text, extension, stem, proven=proven)
            if persona.name != stem:
                raise InvalidPersona(
                    f"persona '{stem}': the file is named {stem}{extension} but says '{persona.name}'."
                )
        except (OSError, UnicodeDecodeError, InvalidPersona) as error:
            self.problems[stem] = str(error)
            self._orphans.discard(stem)
            log.warning("personas.file_refused", file=path, problem=str(error)[:500])
            return
        self.problems.pop(stem, None)
        version = self._seen(stem, text, digest, extension, "", new)
        self._entries[stem] = Entry(persona, persona, version, text, extension, builtin=False)

    def _seen(
        self, name: str, text: str, digest: str, extension: str, author: str, new: list[Version]
    ) -> int:
        versions = self._history.setdefault(name, [])
        if versions and versions[-1].sha256 == digest:
            return versions[-1].version
        number = versions[-1].version + 1 if versions else 1
        version = Version(name, number, extension, text, digest, time.time(), author)
        versions.append(version)
        new.append(version)
        return number

    def _record(self, new: list[Version]) -> None:
        if new:
            self._file.add(new)
            self._trim()

    def _trim(self) -> None:
        """Forget the oldest versions that are in use no more, where the tenant's would be too much."""
        if self._room is None:
            return
        most = self._room.keeping.most(self._room.tenant, "persona_bytes")
        versions = [version for each in self._history.values() for version in each]
        size = sum(_size(version.source) for version in versions)
        if size <= most:
            return
        stand = {id(self._history[name][-1]) for name in self._entries if name in self._history}
        for old in sorted(versions, key=lambda version: version.at):
            if size <= most * 3 // 4:  # so that it is not done for each version anew
                break
            if id(old) not in stand:
                self._history[old.name].remove(old)
                self._earlier.pop((old.name, str(old.version)), None)
                size -= _size(old.source)
        self._history = {name: left for name, left in self._history.items() if left}
        self._file.replace(version for left in self._history.values() for version in left)

    def _forget(self, stem: str) -> None:
        self._entries.pop(stem, None)
        self.problems.pop(stem, None)
        self._parts.pop(stem.removeprefix("_"), None) if stem.startswith("_") else None

    def _link(self) -> None:
        """Give every persona what it inherits; a circle or a missing parent is a problem of the child alone."""
        self._earlier.clear()
        self.generation += 1
        self._linked_to = self._shared.generation if self._shared is not None else -1
        own = {**self._behind(), **self._entries}
        for name, entry in list(own.items()):
            if entry.own.extends is None or (self._shared is not None and name not in self._entries):
                continue
            try:
                whole, parent = self._inherit(entry.own, own, ())
            except InvalidPersona as error:
                if (
                    name not in self.problems or name in self._orphans
                ):  # what is wrong with its file is told first
                    self.problems[name] = error.message
                    self._orphans.add(name)
                continue
            if name in self._orphans:  # what it extends came back
                self._orphans.discard(name)
                self.problems.pop(name, None)
            linked = msgspec.structs.replace(entry, whole=whole, parent=parent)
            (self._builtin if entry.builtin else self._entries)[name] = linked

    def _inherit(
        self, persona: Persona, own: dict[str, Entry], below: tuple[str, ...]
    ) -> tuple[Persona, Persona | None]:
        if persona.extends is None:
            return persona, None
        if persona.extends in below or persona.extends == persona.name or len(below) >= MAX_DEPTH:
            raise InvalidPersona(f"persona '{persona.name}': extends itself, by way of '{persona.extends}'.")
        parent = own.get(persona.extends)
        if parent is None:
            raise InvalidPersona(
                f"persona '{persona.name}': extends '{persona.extends}', which does not exist."
            )
        whole, _ = self._inherit(parent.own, own, (*below, persona.name))
        return inherited(persona, whole), whole

    def entries(self) -> Iterator[Entry]:
        """Every persona, the directory's own before those that ship."""
        yield from self._entries.values()
        yield from (entry for name, entry in self._behind().items() if name not in self._entries)

    def get(self, name: str) -> Entry:
        """One persona, by name or as `name@version`. Raises `NotFound`, or `InvalidPersona` for one that cannot be used."""
        name, _, version = name.partition("@")
        entry = self._entries.get(name)
        if entry is None and self._shared is not None and self._shared.has(name):
            return self._shared.get(f"{name}@{version}" if version else name)
        if entry is None or version == str(SHIPPED):
            entry = self._builtin.get(name, entry)
        if entry is None:
            known = ", ".join(sorted(entry.own.name for entry in self.entries())[:20])
            raise NotFound(f"There is no persona '{name[:100]}'. There are: {known}.", param="persona")
        if entry.own.extends is not None and name in self.problems:
            raise InvalidPersona(self.problems[name])
        return self._at(entry, version) if version and version != str(entry.version) else entry

    def _at(self, entry: Entry, version: str) -> Entry:
        """An earlier version of the persona, with what it inherits today."""
        name = entry.own.name
        known = self._earlier.get((name, version))
        if known is None:
            old = next((old for old in self._history.get(name, ()) if str(old.version) == version), None)
            if old is None or not old.source:
                raise NotFound(f"The persona '{name}' has no version {version[:20]}.", param="persona")
            own = parse(old.source, old.extension, name, proven=True)
            whole, parent = self._inherit(own, {**self._behind(), **self._entries}, ())
            known = Entry(whole, whole, old.version, old.source, old.extension, builtin=False, parent=parent)
            if len(self._earlier) >= MAX_EARLIER:
                self._earlier.clear()
            self._earlier[name, version] = known
        return known

    def has(self, name: str) -> bool:
        """Whether there is a persona of this name, shared or own."""
        return name in self._entries or name in self._behind()

    def history(self, name: str) -> list[Version]:
        """All versions that were seen, oldest first."""
        self.get(name)
        if self._shared is not None and name not in self._entries and name not in self._history:
            return self._shared.history(name)
        return list(self._history.get(name, ()))

    def write(
        self, name: str, text: str, extension: str, *, author: str = "", expected: int | None = None
    ) -> Entry:
        """Make or change a persona, atomically. Raises `Conflict` when it is not at version `expected`."""
        if extension not in EXTENSIONS:
            raise InvalidRequest(f"A persona is written as {' or '.join(EXTENSIONS)}.", param="format")
        persona = parse(text, extension, name)
        if persona.name != name:
            raise InvalidPersona(f"persona '{name}': the text says its name is '{persona.name}'.")
        known = self._entries.get(name)
        self._check_version(name, known, expected)
        self._check_room(name, known, text)
        if persona.extends is not None:
            whole, _ = self._inherit(persona, {**self._behind(), **self._entries}, ())
            refuse(name, undeclared(whole))
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / f"{name}{extension}"
        temporary = file.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
        if known is not None and known.extension != extension:
            (self.directory / f"{name}{known.extension}").unlink(missing_ok=True)
        new: list[Version] = []
        self._take_history()
        self._seen(name, text, hashlib.sha256(text.encode()).hexdigest(), extension, author, new)
        self._record(new)
        self._stamps.pop(name, None)
        self.refresh()
        return self.get(name)

    def _check_room(self, name: str, known: Entry | None, text: str) -> None:
        """Raises `KeepsTooMuch` where a tenant may have no more of them, or none so long."""
        if self._room is None:
            return
        keeping, tenant = self._room.keeping, self._room.tenant
        if known is None:
            keeping.check(tenant, "personas", len(self._entries))
        others = sum(_size(entry.source) for other, entry in self._entries.items() if other != name)
        keeping.check(tenant, "persona_bytes", others, _size(text))

    def _check_version(self, name: str, known: Entry | None, expected: int | None) -> None:
        """Raises `Conflict` when the persona is not at that version."""
        stands = known.version if known else 0
        behind = self._behind().get(name) if known is None and self._shared is not None else None
        if expected is not None and expected not in (stands, behind.version if behind else stands):
            raise Conflict(f"The persona '{name}' is at version {stands}, not {expected}.")

    def rollback(self, name: str, version: int, *, author: str = "") -> Entry:
        """Bring an old version back, as a new one."""
        for old in self._history.get(name, ()):
            if old.version == version:
                return self.write(name, old.source, old.extension, author=author)
        raise NotFound(f"The persona '{name[:100]}' has no version {version}.")

    def delete(self, name: str) -> None:
        """Remove the directory's persona; one that ships shows again. Its history stays."""
        entry = self._entries.get(name)
        if entry is None:
            self.get(name)
            whose = "is shared by this node's operator" if self._shared else "ships with IntelliRouter"
            raise Conflict(f"The persona '{name}' {whose}: it can be replaced, not deleted.")
        children = sorted(other for other, found in self._entries.items() if found.own.extends == name)
        if children and name not in self._behind():
            raise Conflict(
                f"The persona '{name}' is extended by: {', '.join(children[:20])}. Change or delete these first."
            )
        (self.directory / f"{name}{entry.extension}").unlink(missing_ok=True)
        self.refresh()


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
