-- institution_known(uscc) -> bool
-- Whether an institution is recorded.
select exists (select 1 from institution where uscc = :uscc);

-- known_file(city_code, file_sha256) -> int?
-- The batch that the same file is already.
select batch_id from batch
where city_code = :city_code and file_sha256 = :file_sha256 and state <> 'withdrawn';

-- held(person_keys) -> [_Held]
-- Valid certificates of these persons, in any city.
select person_key, project_name, number from certificates_held(:person_keys::bytea[]);

-- add_batch(city_code, uscc, file_name, file_sha256, imported_by) -> int
-- A new draft.
insert into batch (city_code, uscc, file_name, file_sha256, imported_by)
values (:city_code, :uscc, :file_name, :file_sha256, :imported_by)
returning batch_id;

-- add_results(batch_id, city_code, person_keys, ids_encrypted, phones_encrypted, phone_keys, row_number_values, admission_number_values, name_values, sex_values, id_kind_values, born_on_values, project_values, exam_on_values, theory_values, practice_values, total_values, passed_values, remark_values) -> none
-- One array for each column, so that a large workbook is one statement.
insert into result (batch_id, city_code, person_key, id_encrypted, phone_encrypted, phone_key,
    row_number, admission_number, name, sex, id_kind, born_on, project_name, exam_on, theory, practice, total,
    passed, remark)
select :batch_id, :city_code, person_key, id_encrypted, phone_encrypted, phone_key, row_number,
    admission_number, name, sex, id_kind, born_on, project_name, exam_on, theory, practice, total,
    passed, remark
from unnest(:person_keys::bytea[], :ids_encrypted::bytea[], :phones_encrypted::bytea[],
    :phone_keys::bytea[], :row_number_values::int[], :admission_number_values::text[], :name_values::text[],
    :sex_values::text[], :id_kind_values::text[], :born_on_values::date[],
    :project_values::text[], :exam_on_values::date[], :theory_values::numeric[],
    :practice_values::numeric[], :total_values::numeric[], :passed_values::boolean[],
    :remark_values::text[])
    as row_of (person_key, id_encrypted, phone_encrypted, phone_key, row_number, admission_number,
        name, sex, id_kind, born_on, project_name, exam_on, theory, practice, total, passed, remark);

-- find(batch_id) -> Batch?
-- One batch with its counts.
select batch_id, city_code, uscc, file_name, state,
    (select count(*) from result where result.batch_id = batch.batch_id) as row_count,
    (select count(*) from result where result.batch_id = batch.batch_id and passed) as passed_count,
    submitted_by, decided_by, return_reason, archived_on
from batch where batch_id = :batch_id;

-- recent() -> [Batch]
-- The newest batches of the actor's city; the province sees all.
select batch_id, city_code, uscc, file_name, state,
    (select count(*) from result where result.batch_id = batch.batch_id) as row_count,
    (select count(*) from result where result.batch_id = batch.batch_id and passed) as passed_count,
    submitted_by, decided_by, return_reason, archived_on
from batch order by batch_id desc limit 50;

-- lock(batch_id) -> _Locked?
-- Held until the transaction ends.
select city_code, state from batch where batch_id = :batch_id for update;

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
-- Every face is written here, from the row and from what the city is called on this day.
insert into certificate (number, city_code, batch_id, row_number, scheme_version, public_id,
    identifier, edition, name, sex, born_on, id_kind, id_encrypted, person_key, project_name, score,
    exam_on, archived_on, issuing_authority, issuer_code, seal_name, examine_fully)
select taken.number, city_code, batch_id, row_number, :scheme_version, taken.public_id,
    taken.identifier, :edition, name, sex, born_on, id_kind, id_encrypted, person_key,
    project_name, total, exam_on, :archived_on, issuing_authority, issuer_code, seal_name,
    taken.examine_fully
from unnest(:row_numbers::int[], :numbers::text[], :public_ids::text[], :identifiers::text[],
    :examined_fully::boolean[])
    as taken (row_number, number, public_id, identifier, examine_fully)
join result using (row_number)
join centre_on(:archived_on) using (city_code)
where batch_id = :batch_id;

-- archive(batch_id, account_name, archived_on) -> none
-- The second of two persons; the worker is woken when the transaction commits.
with archived as (
    update batch set state = 'approved', decided_by = :account_name, decided_at = now(),
        archived_on = :archived_on
    where batch_id = :batch_id
)
select pg_notify('certificate_numbered', '');
