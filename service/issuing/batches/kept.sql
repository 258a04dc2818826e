-- add_results(batch_id, city_code, upload_id, row_keys, person_keys, ids_encrypted, phones_encrypted, phone_keys, row_number_values, admission_number_values, name_values, sex_values, id_kind_values, born_on_values, project_values, exam_on_values, theory_values, practice_values, total_values, passed_values, remark_values) -> none
-- One array for each column, so that many rows are one statement.
insert into result (batch_id, city_code, upload_id, row_key, person_key, id_encrypted,
    phone_encrypted, phone_key, row_number, admission_number, name, sex, id_kind, born_on,
    project_name, exam_on, theory, practice, total, passed, remark)
select :batch_id, :city_code, :upload_id, row_of.*
from unnest(:row_keys::bytea[], :person_keys::bytea[], :ids_encrypted::bytea[],
    :phones_encrypted::bytea[], :phone_keys::bytea[], :row_number_values::int[],
    :admission_number_values::text[], :name_values::text[], :sex_values::text[],
    :id_kind_values::text[], :born_on_values::date[], :project_values::text[],
    :exam_on_values::date[], :theory_values::numeric[], :practice_values::numeric[],
    :total_values::numeric[], :passed_values::boolean[], :remark_values::text[]) as row_of;

-- mend_results(batch_id, upload_id, row_keys, person_keys, ids_encrypted, phones_encrypted, phone_keys, row_number_values, admission_number_values, name_values, sex_values, id_kind_values, born_on_values, project_values, exam_on_values, theory_values, practice_values, total_values, passed_values, remark_values) -> none
-- The trigger keeps what they said before.
update result set upload_id = :upload_id, person_key = row_of.person_key,
    id_encrypted = row_of.id_encrypted, phone_encrypted = row_of.phone_encrypted,
    phone_key = row_of.phone_key, admission_number = row_of.admission_number, name = row_of.name,
    sex = row_of.sex, id_kind = row_of.id_kind, born_on = row_of.born_on,
    project_name = row_of.project_name, exam_on = row_of.exam_on, theory = row_of.theory,
    practice = row_of.practice, total = row_of.total, passed = row_of.passed,
    remark = row_of.remark
from unnest(:row_keys::bytea[], :person_keys::bytea[], :ids_encrypted::bytea[],
    :phones_encrypted::bytea[], :phone_keys::bytea[], :row_number_values::int[],
    :admission_number_values::text[], :name_values::text[], :sex_values::text[],
    :id_kind_values::text[], :born_on_values::date[], :project_values::text[],
    :exam_on_values::date[], :theory_values::numeric[], :practice_values::numeric[],
    :total_values::numeric[], :passed_values::boolean[], :remark_values::text[])
    as row_of (row_key, person_key, id_encrypted, phone_encrypted, phone_key, row_number,
        admission_number, name, sex, id_kind, born_on, project_name, exam_on, theory, practice,
        total, passed, remark)
where batch_id = :batch_id and result.row_number = row_of.row_number
    and result.row_key = row_of.row_key;

-- judge_doubles_at_the_end() -> none
-- Of what may not be twice in a batch, as one statement after the other is done.
set constraints result_person_once, result_admission_once deferred;

-- results(batch_id, last_row, rows_max) -> [_Result]
-- The next rows of a batch that is not decided yet, and whose rows so have an identity.
select row_key, row_number, admission_number, name, sex, id_kind, id_encrypted, person_key, born_on,
    phone_encrypted, project_name as project, exam_on, theory, practice, total, passed, remark
from result where batch_id = :batch_id and row_number > :last_row and row_key is not null
order by row_number limit :rows_max;
