-- wanting(numbers) -> [_Wanting]
-- The version of each number that counts, what keeps it from taking paper, and what that would say.
select asked.number, version, held.state, standing, origin, (
        select prefix || lpad(serial::text, digit_count, '0') from paper
            join blank_series using (series_id)
        where paper.number = asked.number and paper.state <> 'ended') as paper,
    (select run_id from print_line line where line.number = asked.number and is_open) as run_id,
    coalesce((
        select case when ended_to = 'lost' then '补发' when ended_from = 'handed-over' then '换发'
            else remark end
        from paper where paper.number = asked.number and paper.state = 'ended'
        order by paper_id desc limit 1), '') as remark
from unnest(:numbers::text[]) as asked (number)
    left join certificate held
        on held.number = asked.number and held.standing <> 'replaced' and held.state <> 'void'
order by asked.number;

-- numbers_of_batch(batch_id) -> [str]
-- Each once, whatever its versions.
select distinct number from certificate where batch_id = :batch_id order by number limit 200000;

-- plan_run(city_code, account_name) -> int
-- It has no series before blanks are drawn for it.
insert into print_run (city_code, planned_by) values (:city_code, :account_name) returning run_id;

-- add_lines(run_id, city_code, numbers, versions, remarks) -> none
-- In the order of the numbers.
insert into print_line (run_id, position, city_code, number, version, remark)
select :run_id, position, :city_code, number, version, remark
from unnest(:numbers::text[], :versions::int[], :remarks::text[])
    with ordinality as asked (number, version, remark, position);
