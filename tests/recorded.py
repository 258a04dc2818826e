"""Facts as centres record them, one of each kind; all hold from 2027 on and none is real."""

import datetime

from service.issuing import numbering
from service.paper import blanks
from service.registry import catalogue, institutions
from service.registry.catalogue import Centre, Project, ProjectKind
from service.registry.facts import Fact
from tests import invented
from tests.world import CHENGDU, DAILY, UNIFIED

DAY = datetime.date(2027, 1, 1)
ONE_DAY = datetime.timedelta(days=1)
DOCUMENT = "川文〔2026〕1号"


def centre(city_code: str, valid_from: datetime.date, name: str) -> Centre:
    return Centre(
        city_code=city_code,
        valid_from=valid_from,
        city_name=f"{name}市",
        centre_name=f"{name}中心",
        issuing_authority=f"{name}机关",
        issuer_code=f"DEV{city_code}000000009",
        seal_name=f"{name}印章",
        number_digits="01",
        document_number=DOCUMENT,
    )


def project(name: str, city_code: str, valid_from: datetime.date, kind: ProjectKind) -> Project:
    return Project(
        project_name=name,
        city_code=city_code,
        valid_from=valid_from,
        kind=kind,
        document_number=DOCUMENT,
    )


SESSION = catalogue.DailySession(
    starts_on=DAY, session_number=1, papers_until=DAY, document_number=DOCUMENT
)
ANNOUNCEMENT = catalogue.Announcement(
    city_code=CHENGDU, project_name=UNIFIED, starts_on=DAY, ends_on=DAY, papers_until=DAY,
    document_number=DOCUMENT,
)  # fmt: skip
EXCEPTION = institutions.SessionException(
    city_code=CHENGDU, uscc=invented.INSTITUTION, project_name=DAILY, exam_on=DAY,
    waives=institutions.Waiver.SESSION, reason="停电改期", document_number=DOCUMENT,
)  # fmt: skip
INSTITUTION = institutions.Institution(
    uscc="91510000MA6ABCDE0F", institution_name="另一学校", valid_from=DAY
)
FILING = institutions.Filing(
    uscc=invented.INSTITUTION, authority_code=CHENGDU, kind=ProjectKind.DAILY,
    project_names=[DAILY], valid_from=DAY, valid_until=DAY, document_number=DOCUMENT,
)  # fmt: skip
CROSS_FILING = institutions.CrossFiling(
    uscc=invented.INSTITUTION, city_code=CHENGDU, valid_from=DAY, valid_until=DAY,
    document_number=DOCUMENT,
)  # fmt: skip
PLAN = institutions.Plan(
    uscc=invented.INSTITUTION, city_code=CHENGDU, project_name=DAILY, starts_on=DAY,
    reported_on=DAY, document_number=DOCUMENT,
)  # fmt: skip
BODY = numbering.Body(city_code=CHENGDU, body_serial=2, document_number=DOCUMENT)
START = numbering.Start(
    city_code=CHENGDU, scheme_version=1, period=2027, body_serial=1, first_sequence=100,
    document_number=DOCUMENT,
)  # fmt: skip
SCHEME = numbering.Scheme(
    scheme_version=2, valid_from=DAY, reset=numbering.Reset.NEVER,
    segments=[
        numbering.Segment(numbering.Source.CITY, 2),
        numbering.Segment(numbering.Source.BODY, 3),
        numbering.Segment(numbering.Source.SEQUENCE, 7),
    ],
    document_number=DOCUMENT,
)  # fmt: skip
BLANK_SERIES = blanks.NewSeries(
    series_code="2027-inner", year=2027, kind=blanks.PaperKind.INNER, prefix="川27A",
    digit_count=7, edition="2026", document_number=DOCUMENT,
)  # fmt: skip
FACTS: list[Fact] = [
    centre(CHENGDU, DAY, "新"), project("新项目", CHENGDU, DAY, ProjectKind.DAILY), SESSION,
    ANNOUNCEMENT, EXCEPTION, INSTITUTION, FILING, CROSS_FILING, PLAN, BODY, START, SCHEME,
    BLANK_SERIES,
]  # fmt: skip
