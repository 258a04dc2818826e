-- find(batch_id) -> Batch?
-- One batch with its counts.
select batch_id, city_code, uscc, file_name, state,
    (select count(*) from result where result.batch_id = batch.batch_id) as row_count,
    (select count(*) from result where result.batch_id = batch.batch_id and passed) as passed_count,
    (select count(distinct row_key) from left_out
        where left_out.batch_id = batch.batch_id and joined_by is null) as left_out_count,
    submitted_by, decided_by, return_reason, archived_on
from batch where batch_id = :batch_id;

-- recent() -> [Batch]
-- The newest batches of the actor's city; the province sees all.
select batch_id, city_code, uscc, file_name, state,
    (select count(*) from result where result.batch_id = batch.batch_id) as row_count,
    (select count(*) from result where result.batch_id = batch.batch_id and passed) as passed_count,
    (select count(distinct row_key) from left_out
        where left_out.batch_id = batch.batch_id and joined_by is null) as left_out_count,
    submitted_by, decided_by, return_reason, archived_on
from batch order by batch_id desc limit 50;

-- lock(batch_id) -> Locked?
-- Held until the transaction ends.
select city_code, uscc, state from batch where batch_id = :batch_id for update;

-- submit(batch_id, account_name) -> none
-- The first of two persons.
update batch set state = 'submitted', submitted_by = :account_name, submitted_at = now(),
    decided_by = null, decided_at = null, return_reason = null
where batch_id = :batch_id;

-- return_batch(batch_id, reason) -> none
-- With the reason, for whoever mends it.
update batch set state = 'returned', return_reason = :reason, decided_at = now()
where batch_id = :batch_id;

-- withdraw(batch_id, reason) -> none
-- It stays listed with its reason, and its file may be imported again.
update batch set state = 'withdrawn', return_reason = :reason where batch_id = :batch_id;

-- issuer_code(city_code, day) -> str?
-- The code of the issuing authority, when anything says what the city is called on a day.
select issuer_code from centre_on(:day) where city_code = :city_code;

-- passed_rows(batch_id) -> [int]
-- The passed rows in the order of the workbook.
select row_number from result where batch_id = :batch_id and passed order by row_number;

-- number_certificates(batch_id, archived_on, scheme_version, edition, row_numbers, numbers, public_ids, identifiers, examined_fully) -> none
-- Every face is written here, from the row, its photo, and what the city is called on this day.
insert into certificate (number, city_code, batch_id, row_number, scheme_version, public_id,
    identifier, edition, name, sex, born_on, id_kind, id_encrypted, person_key, project_name, score,
    exam_on, archived_on, issuing_authority, issuer_code, seal_name, examine_fully, photo_sha256,
    has_photo)
select taken.number, city_code, batch_id, row_number, :scheme_version, taken.public_id,
    taken.identifier, :edition, name, sex, born_on, id_kind, id_encrypted, person_key,
    project_name, total, exam_on, :archived_on, issuing_authority, issuer_code, seal_name,
    taken.examine_fully, sha256, sha256 is not null
from unnest(:row_numbers::int[], :numbers::text[], :public_ids::text[], :identifiers::text[],
    :examined_fully::boolean[])
    as taken (row_number, number, public_id, identifier, examine_fully)
join result using (row_number)
join centre_on(:archived_on) using (city_code)
left join (select batch_id, person_key, sha256 from photo) photo using (batch_id, person_key)
where batch_id = :batch_id;

-- archive(batch_id, account_name, archived_on) -> none
-- The second of two persons; the worker is woken when the transaction commits.
with archived as (
    update batch set state = 'approved', decided_by = :account_name, decided_at = now(),
        archived_on = :archived_on
    where batch_id = :batch_id
)
select pg_notify('certificate_numbered', '');
