"""Every persona of a directory, its versions, and those that ship with IntelliRouter.

A persona is a file `NAME.toml` or `NAME.md`; a file `_NAME.md` is a part that prompts include as `{{ parts.NAME }}`. Each
version that was ever seen is a line of `history.jsonl`, so a file edited by hand has a history too, and any version can
come back. A file that does not hold is reported and its last good version stays.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from intellirouter.errors import Conflict, InvalidRequest, NotFound
from intellirouter.roles.persona_layer.persona import Persona, inherited
from intellirouter.roles.persona_layer.source import EXTENSIONS, InvalidPersona, parse

BUILTIN = Path(__file__).parent / "builtin"
HISTORY = "history.jsonl"
MAX_DEPTH = 8
MAX_EARLIER = 256
"""Earlier versions that are kept ready."""

log = structlog.get_logger(__name__)


class Version(msgspec.Struct, frozen=True):
    """One version of one persona, as it stands in the history. An empty `source` marks a deletion."""

    name: str
    version: int
    extension: str
    source: str
    sha256: str
    at: float
    author: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A persona that is in force. `own` is the file's word, `whole` includes what it inherits."""

    own: Persona
    whole: Persona
    version: int
    source: str
    extension: str
    builtin: bool
    parent_prompt: str = ""


class Library:
    """Personas by name. Reads and writes one directory; `refresh` takes changes made by others."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: dict[str, str] = {}
        self.parts: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._history: dict[str, list[Version]] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._builtin: dict[str, Entry] = {}
        self._earlier: dict[tuple[str, str], Entry] = {}

    def open(self) -> None:
        """Read everything."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for file in sorted(BUILTIN.iterdir()):
            if file.suffix in EXTENSIONS:
                text = file.read_text(encoding="utf-8")
                persona = parse(text, file.suffix, file.stem)
                self._builtin[file.stem] = Entry(persona, persona, 1, text, file.suffix, builtin=True)
        history = self.directory / HISTORY
        if history.exists():
            for line in history.read_bytes().splitlines():
                try:
                    version = msgspec.json.decode(line, type=Version)
                except msgspec.DecodeError:  # the last line of a node that died while it wrote
                    log.warning("personas.history_line_skipped", file=str(history))
                    continue
                self._history.setdefault(version.name, []).append(version)
        self.refresh()

    def refresh(self) -> bool:
        """Take what changed on disk; whether anything did."""
        seen: dict[str, tuple[str, str, tuple[int, int]]] = {}
        for item in os.scandir(self.directory):
            stem, _, extension = item.name.rpartition(".")
            if stem and f".{extension}" in EXTENSIONS and item.is_file():
                stat = item.stat()
                seen[stem] = (item.path, f".{extension}", (stat.st_mtime_ns, stat.st_size))
        stamps = {stem: stamp for stem, (_, _, stamp) in seen.items()}
        changed = [stem for stem, stamp in stamps.items() if self._stamps.get(stem) != stamp]
        gone = self._stamps.keys() - stamps.keys()
        if not changed and not gone:
            return False
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

    def _read(self, stem: str, path: str, extension: str, new: list[Version]) -> None:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  ten thousand of them: a Path costs more than the reading
                text = file.read()
            if stem.startswith("_"):
                self.parts[stem[1:]] = text.strip()
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
            with (self.directory / HISTORY).open("ab") as file:
                file.write(b"".join(msgspec.json.encode(version) + b"\n" for version in new))
                file.flush()
                os.fsync(file.fileno())

    def _forget(self, stem: str) -> None:
        self._entries.pop(stem, None)
        self.problems.pop(stem, None)
        self.parts.pop(stem.removeprefix("_"), None) if stem.startswith("_") else None

    def _link(self) -> None:
        """Give every persona what it inherits; a circle or a missing parent is a problem of the child alone."""
        self._earlier.clear()
        own = {**self._builtin, **self._entries}
        for name, entry in list(own.items()):
            if entry.own.extends is None:
                continue
            try:
                whole, prompt = self._inherit(entry.own, own, ())
            except InvalidPersona as error:
                self.problems[name] = error.message
                continue
            linked = msgspec.structs.replace(entry, whole=whole, parent_prompt=prompt)
            (self._builtin if entry.builtin else self._entries)[name] = linked

    def _inherit(
        self, persona: Persona, own: dict[str, Entry], below: tuple[str, ...]
    ) -> tuple[Persona, str]:
        if persona.extends is None:
            return persona, ""
        if persona.extends in below or persona.extends == persona.name or len(below) >= MAX_DEPTH:
            raise InvalidPersona(f"persona '{persona.name}': extends itself, by way of '{persona.extends}'.")
        parent = own.get(persona.extends)
        if parent is None:
            raise InvalidPersona(
                f"persona '{persona.name}': extends '{persona.extends}', which does not exist."
            )
        whole, _ = self._inherit(parent.own, own, (*below, persona.name))
        return inherited(persona, whole), whole.prompt

    def entries(self) -> Iterator[Entry]:
        """Every persona, the directory's own before those that ship."""
        yield from self._entries.values()
        yield from (entry for name, entry in self._builtin.items() if name not in self._entries)

    def get(self, name: str) -> Entry:
        """One persona, by name or as `name@version`. Raises `NotFound`, or `InvalidPersona` for one that cannot be used."""
        name, _, version = name.partition("@")
        entry = self._entries.get(name) or self._builtin.get(name)
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
            whole, prompt = self._inherit(own, {**self._builtin, **self._entries}, ())
            known = Entry(
                whole, whole, old.version, old.source, old.extension, builtin=False, parent_prompt=prompt
            )
            if len(self._earlier) >= MAX_EARLIER:
                self._earlier.clear()
            self._earlier[name, version] = known
        return known

    def history(self, name: str) -> list[Version]:
        """All versions that were seen, oldest first."""
        self.get(name)
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
        if expected is not None and expected != (known.version if known else 0):
            raise Conflict(
                f"The persona '{name}' is at version {known.version if known else 0}, not {expected}."
            )
        if persona.extends is not None:
            self._inherit(persona, {**self._builtin, **self._entries}, ())
        file = self.directory / f"{name}{extension}"
        temporary = file.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
        if known is not None and known.extension != extension:
            (self.directory / f"{name}{known.extension}").unlink(missing_ok=True)
        new: list[Version] = []
        self._seen(name, text, hashlib.sha256(text.encode()).hexdigest(), extension, author, new)
        self._record(new)
        self._stamps.pop(name, None)
        self.refresh()
        return self.get(name)

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
            raise Conflict(f"The persona '{name}' ships with IntelliRouter: it can be replaced, not deleted.")
        (self.directory / f"{name}{entry.extension}").unlink(missing_ok=True)
        self.refresh()
