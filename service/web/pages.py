"""Pages: templates in two languages, Chinese first, one stylesheet, nothing from third parties.

A template says both languages beside each other, `{{ t("编号", "Number") }}`, and shows one of
them. Which one is asked for by `?lang=en` or `?lang=zh`, and `link(path)` keeps it. What a page
needs besides is an asset: read once, named with its digest, and nothing else is ever served.
"""

import base64
import functools
import gzip
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request

from service.checking import decision

_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


class Language(StrEnum):
    """The language of a page, as it stands in `lang`."""

    ZH = "zh"
    EN = "en"


class Asset(msgspec.Struct, frozen=True):
    """A file that pages load, and its gzip; `tag` changes with its content."""

    content: bytes
    packed: bytes
    media_type: str
    tag: str


class Pages:
    """The templates of one folder, and the assets of the folder `static` beside it."""

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        )
        self.assets: Mapping[str, Asset] = _assets(folder.parent / "static")

    def render(self, name: str, language: Language, **facts: object) -> str:
        """Render a page; `t(zh, en)` and `say(words)` choose the language inside it."""
        return self._environment.get_template(name).render(
            language=language.value,
            t=functools.partial(_choose, language),
            say=lambda said: said[language.value],
            link=functools.partial(_link, language),
            asset=self._asset,
            words=decision.WORDS,
            headline=decision.headline,
            **facts,
        )

    def _asset(self, name: str) -> str:
        return f"/static/{name}?v={self.assets[name].tag}"


def language_of(request: Request[Any, Any, Any]) -> Language:
    """Return the language that a request asks for, Chinese unless it says otherwise."""
    return Language.EN if request.query_params.get("lang") == "en" else Language.ZH


def _choose(language: Language, zh: str, en: str) -> str:
    return en if language is Language.EN else zh


def _link(language: Language, path: str) -> str:
    return f"{path}?lang=en" if language is Language.EN else path


def _assets(folder: Path) -> dict[str, Asset]:
    assets = {}
    for path in sorted(folder.rglob("*")):
        if media_type := _MEDIA_TYPES.get(path.suffix):
            content = path.read_bytes()
            tag = base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:9]).decode()
            packed = gzip.compress(content, mtime=0)
            assets[path.relative_to(folder).as_posix()] = Asset(content, packed, media_type, tag)
    return assets
