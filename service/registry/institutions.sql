-- record_institution(uscc, institution_name, valid_from) -> str?
-- Institutions are known in the whole province; the journal is the recording city's.
insert into institution (uscc, institution_name, valid_from)
values (:uscc, :institution_name, :valid_from)
on conflict do nothing
returning current_setting('qianfa.city');

-- record_filing(uscc, authority_code, kind, project_names, valid_from, valid_until, document_number) -> str?
-- One filing for each document and mode.
insert into filing (uscc, authority_code, kind, project_names, valid_from, valid_until,
    document_number)
values (:uscc, :authority_code, :kind, :project_names, :valid_from, :valid_until, :document_number)
on conflict do nothing
returning authority_code;

-- record_cross_filing(uscc, city_code, valid_from, valid_until, document_number) -> str?
-- Kept by the city in which the institution works.
insert into cross_filing (uscc, city_code, valid_from, valid_until, document_number)
values (:uscc, :city_code, :valid_from, :valid_until, :document_number)
on conflict do nothing
returning city_code;

-- record_plan(uscc, city_code, project_name, starts_on, reported_on, document_number) -> str?
-- Kept by the city of the exam.
insert into plan (uscc, city_code, project_name, starts_on, reported_on, document_number)
values (:uscc, :city_code, :project_name, :starts_on, :reported_on, :document_number)
on conflict do nothing
returning city_code;

-- record_exception(city_code, uscc, project_name, exam_on, waives, reason, document_number) -> str?
-- An exception holds for one institution, project and day.
insert into session_exception (city_code, uscc, project_name, exam_on, waives, reason,
    document_number)
values (:city_code, :uscc, :project_name, :exam_on, :waives, :reason, :document_number)
on conflict do nothing
returning city_code;
