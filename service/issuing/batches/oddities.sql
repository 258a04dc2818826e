-- equal_totals(batch_id, rows_min) -> [_Seen]
-- Sittings of which all who passed have one total.
select project_name || ' ' || exam_on || ' ' || min(total) as what,
    array_agg(row_number order by row_number) as row_numbers
from result where batch_id = :batch_id and passed
group by project_name, exam_on
having count(*) >= :rows_min::int and min(total) = max(total)
order by 1;

-- pass_rates(batch_id, batches_max) -> [_Rates]
-- Each project of the batch, beside the last approved batches of its institution in its city.
with earlier as (
    select other.batch_id from batch join batch other using (city_code, uscc)
    where batch.batch_id = :batch_id and other.batch_id <> :batch_id and other.state = 'approved'
    order by other.archived_on desc, other.batch_id desc
    limit :batches_max
), now as (
    select project_name, count(*) as row_count, count(*) filter (where passed) as passed_count
    from result where batch_id = :batch_id group by project_name
), before as (
    select project_name, count(*) as row_count, count(*) filter (where passed) as passed_count,
        count(distinct batch_id) as batch_count
    from result where batch_id = any (array(select batch_id from earlier)) group by project_name
)
select project_name, now.row_count, now.passed_count, before.row_count as rows_before,
    before.passed_count as passed_before, before.batch_count as batches_before
from now join before using (project_name)
order by project_name;

-- phones(batch_id) -> [_Phone]
-- The phones of all who passed, which nothing but the vault can compare.
select row_number, person_key, phone_encrypted from result
where batch_id = :batch_id and passed and phone_encrypted is not null
order by row_number;

-- shared_photos(batch_id) -> [_Seen]
-- Photos that stand for more than one person.
select left(encode(sha256, 'hex'), 16) as what,
    array_agg(row_number order by row_number) as row_numbers
from photo join result using (batch_id, person_key)
where batch_id = :batch_id
group by sha256
having count(distinct person_key) > 1
order by 2;

-- without_photo(batch_id) -> [_Seen]
-- All who passed and have none, where the batch has photos, or its city's last approved batch has.
with photographed as (
    select batch_id from photo where batch_id = :batch_id
    union all
    select batch_id from photo where batch_id = (
        select other.batch_id from batch join batch other using (city_code)
        where batch.batch_id = :batch_id and other.state = 'approved'
        order by other.archived_on desc, other.batch_id desc limit 1)
)
select '无照片 no photo' as what, array_agg(row_number order by row_number) as row_numbers
from result left join photo using (batch_id, person_key)
where result.batch_id = :batch_id and passed and sha256 is null
    and exists (select from photographed)
having count(*) > 0;

-- ages(batch_id, years_min, years_max) -> [_Seen]
-- All who passed and were younger or older on the day of the exam.
select concat_ws('–', min(years), nullif(max(years), min(years))) || ' 岁 years' as what,
    array_agg(row_number order by row_number) as row_numbers
from result cross join lateral (select extract(year from age(exam_on, born_on)) as years) old
where batch_id = :batch_id and passed and years not between :years_min::int and :years_max::int
having count(*) > 0;

-- birthdays(batch_id, rows_min, deviations) -> [_Seen]
-- All who passed on their birthday, where they are far more than chance has it.
select count(*) filter (where is_birthday) || ' / ' || count(*) as what,
    array_agg(row_number order by row_number) filter (where is_birthday) as row_numbers
from result
cross join lateral (select to_char(born_on, 'MMDD') = to_char(exam_on, 'MMDD') as is_birthday) day
where batch_id = :batch_id and passed
having count(*) filter (where is_birthday) >= greatest(:rows_min::int,
    count(*) / 365.25 + :deviations::float8 * sqrt(count(*) / 365.25));

-- changed_late(batch_id) -> [_Seen]
-- Rows that a later upload brought or mended on a day when the results were public already.
select publicity_from::text as what, array_agg(row_number order by row_number) as row_numbers
from batch join result using (batch_id) join upload using (upload_id)
where batch.batch_id = :batch_id and outcome = 'joined'
    and (uploaded_at at time zone 'Asia/Shanghai')::date >= publicity_from
group by publicity_from;

-- still_left_out(batch_id) -> [_Seen]
-- Rows that were left out and have not come back mended, by the numbers that they had first.
select count(*)::text as what, array_agg(row_number order by row_number) as row_numbers
from (
    select distinct on (row_key) row_number from left_out
    where batch_id = :batch_id and joined_by is null
    order by row_key, upload_id
) waiting
having count(*) > 0;
