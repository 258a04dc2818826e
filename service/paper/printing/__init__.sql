-- lock_run(run_id) -> none
-- What is read of it only now is not older than what others did to it before.
select from print_run where run_id = :run_id for update;

-- find_run(run_id) -> Run?
-- A run and its newest round.
select run_id, run.city_code, series_code, run.state, planned_by, planned_at,
    coalesce(round, 0) as round, coalesce(pdf_count, 0) as pdf_count, profile_id,
    (select count(*) from print_line line where line.run_id = run.run_id) as line_count,
    (select count(*) from print_line line where line.run_id = run.run_id and not exists (
        select from paper where paper.run_id = run.run_id and paper.number = line.number))
        as left_count
from print_run run left join blank_series using (series_id)
    left join lateral (select round, pdf_count, profile_id from print_round newest
        where newest.run_id = run.run_id order by round desc limit 1) as newest on true
where run_id = :run_id;

-- all_runs() -> [Run]
-- Newest first.
select run_id, run.city_code, series_code, run.state, planned_by, planned_at,
    coalesce(round, 0) as round, coalesce(pdf_count, 0) as pdf_count, profile_id,
    (select count(*) from print_line line where line.run_id = run.run_id) as line_count,
    (select count(*) from print_line line where line.run_id = run.run_id and not exists (
        select from paper where paper.run_id = run.run_id and paper.number = line.number))
        as left_count
from print_run run left join blank_series using (series_id)
    left join lateral (select round, pdf_count, profile_id from print_round newest
        where newest.run_id = run.run_id order by round desc limit 1) as newest on true
order by run_id desc limit 200;

-- left_lines(run_id) -> [_Line]
-- Certificates of a run that still stand and have no paper.
select number, version from print_line line join certificate using (number, version)
where run_id = :run_id and certificate.state = 'issued' and standing = 'valid'
    and not exists (
        select from paper where paper.number = line.number and paper.state <> 'ended')
    and not exists (select from paper where (paper.run_id, paper.number) = (line.run_id, line.number))
order by number limit 2000;

-- begin_round(run_id, round, city_code, series_id, account_name) -> none
-- A trigger moves the run on.
insert into print_round (run_id, round, city_code, series_id, drawn_by)
values (:run_id, :round, :city_code, :series_id, :account_name);

-- add_sheets(run_id, round, city_code, series_id, serials, numbers, versions) -> none
-- The lowest serial carries the lowest number.
insert into sheet (run_id, round, position, city_code, series_id, serial, number, version)
select :run_id, :round, position, :city_code, :series_id, serial, number, version
from unnest(:serials::int8[], :numbers::text[], :versions::int[])
    with ordinality as drawn (serial, number, version, position);

-- sheets_of_round(run_id, round) -> [Sheet]
-- In the order of their serials; suspended is a standing that may yet be lifted.
select position, serial, number, standing,
    certificate.state = 'issued' and standing in ('valid', 'suspended') as stands
from sheet join certificate using (number, version)
where run_id = :run_id and round = :round order by position limit 2000;

-- settle_sheets(run_id, round, positions, outcomes) -> none
-- Each once.
update sheet set outcome = said.outcome
from unnest(:positions::int[], :outcomes::text[]) as said (position, outcome)
where run_id = :run_id and round = :round and sheet.position = said.position;

-- add_papers(run_id, round, positions, numbers) -> none
-- What printed sheets bear, which may be another certificate of the round than was planned.
insert into paper (city_code, series_id, serial, number, version, remark, run_id, round, position)
select sheet.city_code, series_id, serial, line.number, line.version, remark, sheet.run_id, round,
    sheet.position
from unnest(:positions::int[], :numbers::text[]) as said (place, borne)
    join sheet on (sheet.run_id, round, sheet.position) = (:run_id, :round, place)
    join print_line line on (line.run_id, line.number) = (sheet.run_id, borne)
order by place;

-- settle_round(run_id, round, account_name) -> none
-- A trigger moves the run on.
update print_round set settled_by = :account_name, settled_at = now()
where run_id = :run_id and round = :round;

-- round_digest(run_id, round) -> str
-- Which serial bears which number, for the journal: what is changed later does not agree with it.
select digest from print_round_content where run_id = :run_id and round = :round;

-- end_run(run_id, state, account_name) -> none
-- Its certificates may be planned again.
update print_run set state = :state, ended_by = :account_name, ended_at = now()
where run_id = :run_id;

-- listed(run_id) -> [Listed]
-- Every sheet of every round, then the lines that have no sheet in the newest.
with newest as (
    select coalesce(max(round), 0) as round from print_round where run_id = :run_id
)
select sheet.round, sheet.position, prefix || lpad(sheet.serial::text, digit_count, '0') as serial,
    sheet.number, name, line.remark, outcome, paper.number as carries, paper.state as paper
from sheet join blank_series using (series_id)
    left join paper on (paper.run_id, paper.round, paper.position)
        = (sheet.run_id, sheet.round, sheet.position)
    join print_line line on (line.run_id, line.number)
        = (sheet.run_id, coalesce(paper.number, sheet.number))
    join certificate on (certificate.number, certificate.version) = (line.number, line.version)
where sheet.run_id = :run_id
union all
select null, line.position, null, line.number, name, line.remark, null, null, null
from print_line line join certificate using (number, version), newest
where line.run_id = :run_id and not exists (
        select from paper where (paper.run_id, paper.number) = (line.run_id, line.number))
    and not exists (select from sheet where (sheet.run_id, sheet.round, sheet.number)
        = (line.run_id, newest.round, line.number) and outcome is null)
order by 1 nulls last, 2 limit 100000;
