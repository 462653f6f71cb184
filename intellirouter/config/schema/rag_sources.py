"""`[[rag.sources]]`: where documents come from by themselves."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, model_validator

from intellirouter.config.schema.backup import Cron
from intellirouter.config.schema.section import HttpUrl, PostgresUrl, Seconds, Section

SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Kind = Literal["folder", "web", "git", "s3", "webdav", "postgres", "imap", "confluence"]
FolderPattern = Annotated[str, StringConstraints(min_length=1, max_length=500)]
SpaceKey = Annotated[str, StringConstraints(pattern=r"^~?[A-Za-z0-9._-]{1,255}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[^\s,\"/?#]{1,255}$")]


def _is_here(host: str) -> bool:
    """This machine: what is said to it, nobody reads on the way."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class RagSource(Section):
    """`[[rag.sources]]`: a place that a collection follows. What is new or changed there is read, what is gone there is removed."""

    name: SourceName = Field(description="what commands call it; its documents are called NAME/…")
    kind: Kind = Field(
        description="folder: of this machine; web: pages and sitemaps; git, s3, webdav (Nextcloud and others), postgres: rows of a query; imap: mail; confluence: pages of a wiki"
    )
    collection: str = Field(
        min_length=1, max_length=512, description="that its documents go into; made where it is missing"
    )
    tenant: str = Field(default="default", min_length=1, description="whose collection it is")
    interval_seconds: Seconds | None = Field(
        default=None,
        ge=1,
        description="between two looks; without this and schedule it is looked at when somebody asks",
    )
    schedule: Cron | None = Field(
        default=None,
        description="cron expression of when to look, as in 0 3 * * *, in the machine's time zone",
    )
    include: tuple[str, ...] = Field(
        default=("*",),
        description="patterns of what is read, by path or address; * stands for anything, / too",
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="patterns of what is neither read nor looked into"
    )
    max_documents: int = Field(
        default=10_000, ge=1, le=200_000, description="documents of it at most; the rest is told and left out"
    )
    remove: bool = Field(default=True, description="whether documents that are gone there are removed")
    remove_at_most: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of its documents that one look removes, beyond ten; more waits for `rag sources sync NAME --remove`",
    )
    path: Path | None = Field(
        default=None, description="of folder: where it lies; of git: a repository on this machine"
    )
    url: HttpUrl | None = Field(
        default=None,
        description="of web: the page to begin with; of git: where a repository is cloned from; of webdav: the folder, as in https://cloud.example.com/remote.php/dav/files/ann/Handbook; of confluence: as in https://example.atlassian.net/wiki",
    )
    user: str | None = Field(default=None, description="of git, webdav, imap, confluence: who asks")
    password: SecretStr | None = Field(
        default=None,
        description="of git, webdav, imap, confluence: or a token, as in ${TOKEN}; of confluence without user it is a personal access token",
    )
    branch: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}$",
        description="of git: a branch or tag; absent: the default one",
    )
    sitemap: HttpUrl | None = Field(
        default=None, description="of web: a sitemap, or an index of such, beside url or in its place"
    )
    depth: int = Field(default=3, ge=0, le=50, description="of web: how many links a page is from url")
    delay_seconds: float = Field(
        default=0.2, ge=0, le=60, description="of web: between two requests; robots.txt may ask for more"
    )

    bucket: str | None = Field(
        default=None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="of s3: its name"
    )
    prefix: str = Field(default="", description="of s3: what the keys begin with")
    endpoint: HttpUrl | None = Field(
        default=None, description="of s3: the service; absent: AWS_ENDPOINT_URL, or Amazon's"
    )
    region: str | None = Field(default=None, description="of s3; absent: AWS_REGION")
    access_key: SecretStr | None = Field(
        default=None, description="of s3; absent: what AWS_… says, or the machine's role"
    )
    secret_key: SecretStr | None = Field(default=None, description="of s3, with access_key")
    database_url: PostgresUrl = Field(
        default=None, description="of postgres: postgresql://…, of a user that may only read"
    )
    query: str | None = Field(
        default=None,
        max_length=20_000,
        description="of postgres: a SELECT with the columns id and text, and updated if there is one; further ones go along as attributes",
    )

    host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$",
        description="of imap: the server",
    )
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="of imap; absent: 993, without tls = tls 143"
    )
    tls: Literal["tls", "starttls", "none"] = Field(
        default="tls",
        description="of imap: from the first byte, or begun in plain text; none: on this machine alone",
    )
    ca: Path | None = Field(
        default=None, description="of imap: authorities to trust instead of the system's, as PEM"
    )
    folders: tuple[FolderPattern, ...] = Field(
        default=("INBOX",),
        min_length=1,
        max_length=200,
        description="of imap: patterns of their names, as in Archive/*; trash, junk and drafts only where named",
    )
    since_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="of imap: messages that came in so many days; older ones go",
    )
    spaces: tuple[SpaceKey, ...] = Field(
        default=(), max_length=1_000, description="of confluence: keys of the spaces whose pages are read"
    )
    labels: tuple[Label, ...] = Field(
        default=(), max_length=100, description="of confluence: only pages that have one of them"
    )
    cloud: bool | None = Field(
        default=None,
        description="of confluence: Atlassian's cloud (v2 of its API) or one's own server (v1); absent: cloud where url is at atlassian.net",
    )

    @property
    def in_cloud(self) -> bool:
        """See `cloud`."""
        if self.cloud is not None:
            return self.cloud
        return (urlsplit(self.url or "").hostname or "").endswith(".atlassian.net")

    @model_validator(mode="after")
    def _whole(self) -> RagSource:
        needs: dict[str, tuple[Any, str]] = {
            "folder": (self.path, "path"),
            "web": (self.url or self.sitemap, "url or sitemap"),
            "git": ((self.url is None) != (self.path is None), "url or path, and not both"),
            "s3": (self.bucket, "bucket"),
            "webdav": (self.url, "url"),
            "postgres": (self.database_url and self.query, "database_url and query"),
            "imap": (self.host and self.user and self.password, "host, user and password"),
            "confluence": (self.url and self.password and self.spaces, "url, password and spaces"),
        }
        given, names = needs[self.kind]
        if not given:
            raise ValueError(f"a source of kind '{self.kind}' needs {names}")
        if self.path is not None and not self.path.is_absolute():
            raise ValueError("path: must begin with /")
        if self.tls == "none" and not _is_here(self.host or ""):
            raise ValueError(
                "tls: without it the password could be read on the way; none is for this machine alone"
            )
        if self.interval_seconds is not None and self.schedule is not None:
            raise ValueError("interval_seconds and schedule: set one of the two")
        if self.url is not None and "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError("url: must hold no user or password; they have keys of their own")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key: set both or none")
        return self
