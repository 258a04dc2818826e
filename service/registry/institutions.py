"""Institutions: who may assess what, where, what they have reported, and their exceptions.

An institution is known by its unified social credit code. A filing (备案) lets it assess given
projects in one mode; working in a city other than the filing's needs a cross-city filing there and
a plan reported to that city.

Source: 川人社职鉴〔2025〕35号, 一(三) and 六(二); GB 32100-2015.
"""

import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from service.ground import statements
from service.ground.errors import UsccWrong
from service.ground.statements import Perhaps
from service.registry import people
from service.registry.catalogue import (
    CityCode,
    DocumentNumber,
    Line,
    ProjectKind,
    ProjectName,
    StartsOn,
    ValidFrom,
    ValidUntil,
)
from service.registry.facts import Fact
from service.registry.journal import Act

_sql = statements.beside(__file__)

Uscc = Annotated[str, Meta(description="统一社会信用代码 / USCC of the institution")]


class Waiver(StrEnum):
    """What an exception lifts: the session's dates, or the deadline for the papers."""

    SESSION = "session"
    DEADLINE = "deadline"


class _OfInstitution(Fact, frozen=True, kw_only=True):
    uscc: Uscc

    def check(self) -> None:
        """Refuse a code that is not written as GB 32100-2015 has it, check character included."""
        try:
            code = people.check_uscc(self.uscc)
        except people.Unfit as error:
            raise UsccWrong(uscc=self.uscc) from error
        if code != self.uscc:
            raise UsccWrong(uscc=self.uscc)


class Institution(_OfInstitution, frozen=True, kw_only=True):
    """登记报名考核机构 / Record an institution and its name."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_institution", str)
    act: ClassVar[Act] = Act.INSTITUTION_RECORD

    institution_name: Annotated[str, Meta(min_length=2, max_length=60, description="名称 / name")]
    valid_from: ValidFrom


class Filing(_OfInstitution, frozen=True, kw_only=True):
    """登记备案 / Record a filing: which projects an institution may assess, and how."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_filing", str)
    act: ClassVar[Act] = Act.FILING_RECORD

    authority_code: CityCode
    kind: Annotated[ProjectKind, Meta(description="考核方式 / how they are assessed")]
    project_names: Annotated[
        list[str], Meta(min_length=1, description="备案项目，可多次 / project, repeatable")
    ]
    valid_from: ValidFrom
    valid_until: ValidUntil
    document_number: DocumentNumber


class CrossFiling(_OfInstitution, frozen=True, kw_only=True):
    """登记跨地区备案 / Record a filing with the city in which the institution works."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_cross_filing", str)
    act: ClassVar[Act] = Act.CROSS_FILING_RECORD

    city_code: CityCode
    valid_from: ValidFrom
    valid_until: ValidUntil
    document_number: DocumentNumber


class Plan(_OfInstitution, frozen=True, kw_only=True):
    """登记报送的考核计划 / Record a plan reported to the city of the exam."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_plan", str)
    act: ClassVar[Act] = Act.PLAN_RECORD

    city_code: CityCode
    project_name: ProjectName
    starts_on: StartsOn
    reported_on: Annotated[datetime.date, Meta(description="报送日期 / reported on")]
    document_number: DocumentNumber


class SessionException(_OfInstitution, frozen=True, kw_only=True):
    """登记考核时间或材料期限的例外 / Record an exception to dates or deadline."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_exception", str)
    act: ClassVar[Act] = Act.EXCEPTION_RECORD

    city_code: CityCode
    project_name: ProjectName
    exam_on: Annotated[datetime.date, Meta(description="考核日期 / exam date")]
    waives: Annotated[Waiver, Meta(description="豁免事项 / what is waived")]
    reason: Annotated[Line, Meta(description="原因 / why")]
    document_number: DocumentNumber
