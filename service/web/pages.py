"""Pages: templates in two languages, Chinese first, one stylesheet, nothing from third parties.

A template says both languages beside each other, `{{ t("编号", "Number") }}`, and shows one of
them. Which one is asked for by `?lang=en` or `?lang=zh`.
"""

import functools
from enum import StrEnum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request

from service.checking import decision


class Language(StrEnum):
    """The language of a page, as it stands in `lang`."""

    ZH = "zh"
    EN = "en"


class Pages:
    """The templates of one folder."""

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        )

    def render(self, name: str, language: Language, **facts: object) -> str:
        """Render a page; `t(zh, en)` and `say(words)` choose the language inside it."""
        return self._environment.get_template(name).render(
            language=language.value,
            t=functools.partial(_choose, language),
            say=lambda said: said[language.value],
            words=decision.WORDS,
            **facts,
        )


def language_of(request: Request[Any, Any, Any]) -> Language:
    """Return the language that a request asks for, Chinese unless it says otherwise."""
    return Language.EN if request.query_params.get("lang") == "en" else Language.ZH


def _choose(language: Language, zh: str, en: str) -> str:
    return en if language is Language.EN else zh
