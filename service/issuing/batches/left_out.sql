-- leave_out(upload_id, batch_id, city_code, row_keys, traces, row_numbers, admission_numbers, findings) -> none
-- One entry for each row and upload.
insert into left_out (upload_id, batch_id, city_code, row_key, trace, row_number, admission_number,
    findings)
select :upload_id, :batch_id, :city_code, row_key, trace, row_number, admission_number,
    findings::jsonb
from unnest(:row_keys::bytea[], :traces::bytea[], :row_numbers::int[],
    :admission_numbers::text[], :findings::text[])
    as row_of (row_key, trace, row_number, admission_number, findings);

-- waiting(batch_id) -> [Waiting]
-- A row that was left out more than once is one row.
select row_key, (array_agg(row_number order by upload_id))[1] as row_number,
    (array_agg(trace order by upload_id desc))[1] as trace
from left_out where batch_id = :batch_id and joined_by is null
group by row_key order by 2;

-- join_left_out(batch_id, upload_id, row_keys) -> none
-- Every entry of a row that is in the batch now.
update left_out set joined_by = :upload_id
where batch_id = :batch_id and row_key = any (:row_keys::bytea[]) and joined_by is null;

-- left_out_of_batch(batch_id) -> [LeftOut]
-- With who left the row out, and who brought it without errors.
select left_out.upload_id, left_out.row_number, left_out.admission_number, findings,
    upload.uploaded_by as chosen_by, upload.uploaded_at as chosen_at,
    case when joined_by is not null then result.row_number end as joined_row,
    later.uploaded_by as joined_by, later.uploaded_at as joined_at
from left_out
join upload on upload.upload_id = left_out.upload_id
left join upload later on later.upload_id = joined_by
left join result on (result.batch_id, result.row_key) = (left_out.batch_id, left_out.row_key)
where left_out.batch_id = :batch_id
order by left_out.row_number, left_out.upload_id limit 100000;
