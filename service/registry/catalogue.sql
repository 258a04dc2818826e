-- record_centre(city_code, valid_from, city_name, centre_name, issuing_authority, issuer_code, seal_name, number_digits, document_number) -> str?
-- A city is known from its first row on.
with known as (
    insert into city (city_code) values (:city_code) on conflict do nothing
)
insert into centre (city_code, valid_from, city_name, centre_name, issuing_authority, issuer_code,
    seal_name, number_digits, document_number)
values (:city_code, :valid_from, :city_name, :centre_name, :issuing_authority, :issuer_code,
    :seal_name, :number_digits, :document_number)
on conflict do nothing
returning city_code;

-- record_project(project_name, city_code, valid_from, kind, document_number) -> str?
-- Closing a project is a row too.
insert into project (project_name, city_code, valid_from, kind, document_number)
values (:project_name, :city_code, :valid_from, :kind, :document_number)
on conflict do nothing
returning city_code;

-- record_session(starts_on, session_number, papers_until, document_number) -> str?
-- The session calendar is the province's.
insert into daily_session (starts_on, session_number, papers_until, document_number)
values (:starts_on, :session_number, :papers_until, :document_number)
on conflict do nothing
returning '510000';

-- record_announcement(city_code, project_name, starts_on, ends_on, papers_until, document_number) -> str?
-- One announcement for each project and first day.
insert into announcement (city_code, project_name, starts_on, ends_on, papers_until,
    document_number)
values (:city_code, :project_name, :starts_on, :ends_on, :papers_until, :document_number)
on conflict do nothing
returning city_code;

-- projects(city_code, day) -> [str]
-- Names of the projects that are open in a city.
select project_name from project
where city_code in (:city_code, '510000') and valid_from <= :day
    and project_on(project_name, :city_code, :day) <> 'closed'
group by project_name order by min(valid_from), project_name limit 2000;
