-- lock_batch(batch_id) -> _Batch?
-- Held until the transaction ends.
select city_code, state in ('draft', 'returned') as is_open from batch where batch_id = :batch_id
for update;

-- candidates(batch_id) -> [Candidate]
-- The rows of a batch.
select row_number, admission_number, person_key, passed, sha256 is not null as has_photo
from result left join photo using (batch_id, person_key)
where batch_id = :batch_id order by row_number limit 200000;

-- keep_photos(batch_id, city_code, account_name, person_keys, admission_numbers, sha256s) -> [bool]
-- Whether each took the place of another; only of rows that are still as their photo was named by.
with given as (
    select person_key, sha256
    from unnest(:person_keys::bytea[], :admission_numbers::text[], :sha256s::bytea[])
        as given (person_key, admission_number, sha256)
    where exists (select from result where batch_id = :batch_id
        and (result.person_key, result.admission_number)
            = (given.person_key, given.admission_number))
), before as (
    select person_key from photo where batch_id = :batch_id
), kept as (
    insert into photo (batch_id, city_code, person_key, sha256, uploaded_by)
    select :batch_id, :city_code, person_key, sha256, :account_name from given
    on conflict (batch_id, person_key) do update set sha256 = excluded.sha256,
        uploaded_by = excluded.uploaded_by, uploaded_at = now()
    returning person_key
)
select person_key in (select person_key from before) as replaced from kept;
