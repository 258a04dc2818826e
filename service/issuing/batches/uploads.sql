-- institution_known(uscc) -> bool
-- Whether an institution is recorded.
select exists (select 1 from institution where uscc = :uscc);

-- queue_up(city_code) -> none
-- Held until the transaction ends, so that of two uploads with the same rows one sees the other.
select pg_advisory_xact_lock(hashtextextended('upload ' || :city_code::text, 0));

-- known_file(city_code, file_sha256) -> int?
-- The batch that the same file has made or joined.
select upload.batch_id
from upload join batch using (batch_id)
where upload.city_code = :city_code and upload.file_sha256 = :file_sha256
    and outcome <> 'refused' and state <> 'withdrawn'
union
select batch_id from batch
where city_code = :city_code and file_sha256 = :file_sha256 and state <> 'withdrawn'
limit 1;

-- earlier(city_code, uscc) -> [bytes]
-- The rows of the last uploads of an institution that may still be mended.
select marks from upload left join batch using (batch_id)
where upload.city_code = :city_code and upload.uscc = :uscc
    and state is distinct from 'approved' and row_count > 0
order by upload_id desc limit 3;

-- add_batch(city_code, uscc, file_name, file_sha256, imported_by) -> int
-- A new draft.
insert into batch (city_code, uscc, file_name, file_sha256, imported_by)
values (:city_code, :uscc, :file_name, :file_sha256, :imported_by)
returning batch_id;

-- add_upload(city_code, uscc, batch_id, outcome, file_name, file_sha256, file_form, row_count, good_count, compared_with, new_count, mended_count, unchanged_count, gone_count, marks, uploaded_by) -> int
-- Kept or refused.
insert into upload (city_code, uscc, batch_id, outcome, file_name, file_sha256, file_form,
    row_count, good_count, compared_with, new_count, mended_count, unchanged_count, gone_count,
    marks, uploaded_by)
values (:city_code, :uscc, :batch_id, :outcome, :file_name, :file_sha256, :file_form,
    :row_count, :good_count, :compared_with, :new_count, :mended_count, :unchanged_count,
    :gone_count, :marks, :uploaded_by)
returning upload_id;

-- recent_uploads(batch_id) -> [Upload]
-- The newest of a batch, or of all that the actor sees.
select upload_id, batch_id, uscc, outcome, file_name, file_form, row_count, good_count,
    compared_with, new_count, mended_count, unchanged_count, gone_count, uploaded_by, uploaded_at
from upload where :batch_id::bigint is null or batch_id = :batch_id
order by upload_id desc limit 50;
