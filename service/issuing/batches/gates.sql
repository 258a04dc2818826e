-- facts(batch_id, today) -> Facts
-- What belongs to the batch as a whole; what is dated in the future has not happened.
select submitted_by, publicity_from, publicity_until, papers_received_on,
    array(select party from commitment
        where batch_id = batch.batch_id and committed_on <= :today) as parties,
    (select max(exam_on) from result
        where batch_id = batch.batch_id and passed) as last_exam_on
from batch where batch_id = :batch_id;

-- sittings(batch_id, exam_days_max) -> [Sitting]
-- Every project and exam date of the passed rows, beside what the registry knows of it.
with sitting as (
    select batch.city_code, batch.uscc, project_name, exam_on,
        array_agg(row_number order by row_number) as row_numbers,
        project_on(project_name, batch.city_code, exam_on) as kind
    from result join batch using (batch_id)
    where batch_id = :batch_id and passed
    group by batch.city_code, batch.uscc, project_name, exam_on
)
select sitting.project_name, sitting.exam_on, sitting.row_numbers, sitting.kind,
    case sitting.kind
        when 'daily' then (
            select max(papers_until) from daily_session
            where sitting.exam_on >= starts_on
                and sitting.exam_on < starts_on + :exam_days_max::int)
        when 'unified' then (
            select max(papers_until) from announcement
            where project_name = sitting.project_name
                and city_code in (sitting.city_code, '510000')
                and sitting.exam_on between starts_on and ends_on)
    end as papers_until,
    coalesce(excepted.session, false) as session_excepted,
    coalesce(excepted.deadline, false) as deadline_excepted,
    coalesce(filed.anywhere, false) as filed,
    coalesce(filed.here, false) as filed_here,
    exists (
        select 1 from cross_filing
        where uscc = sitting.uscc and city_code = sitting.city_code
            and sitting.exam_on between valid_from and valid_until) as cross_filed,
    exists (
        select 1 from plan
        where uscc = sitting.uscc and city_code = sitting.city_code
            and project_name = sitting.project_name and reported_on <= starts_on
            and sitting.exam_on >= starts_on
            and sitting.exam_on < starts_on + :exam_days_max::int) as plan_reported
from sitting
cross join lateral (
    select bool_or(waives = 'session') as session, bool_or(waives = 'deadline') as deadline
    from session_exception
    where city_code = sitting.city_code and uscc = sitting.uscc
        and project_name = sitting.project_name and exam_on = sitting.exam_on
) excepted
cross join lateral (
    select count(*) > 0 as anywhere, bool_or(authority_code = sitting.city_code) as here
    from filing
    where uscc = sitting.uscc and kind = sitting.kind
        and sitting.project_name = any (project_names)
        and sitting.exam_on between valid_from and valid_until
) filed
order by sitting.project_name, sitting.exam_on;

-- passed(batch_id) -> [Passed]
-- The rows marked 合格, with the number of the certificate that the person holds already.
with person as materialized (
    select row_number, name, sex, born_on, id_kind, id_encrypted, person_key, total, project_name
    from result where batch_id = :batch_id and passed
), held as materialized (
    select person_key, project_name, number
    from certificates_held(array(select person_key from person))
    where batch_id is distinct from :batch_id
)
select person.row_number, person.name, person.sex, person.born_on, person.id_kind,
    person.id_encrypted, person.person_key, person.total::float8 as total,
    held.number as held_number
from person left join held using (person_key, project_name)
order by person.row_number;
