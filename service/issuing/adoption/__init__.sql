-- known_projects(city_code) -> [str]
-- Every name that the catalogue has ever had for a city, closed projects too.
select distinct project_name from project where city_code in (:city_code, '510000') limit 10000;

-- taken(numbers, digests) -> [_Taken]
-- Certificates that bear one of these numbers or files, in any city.
select number, pdf_sha256 from certificates_taken(:numbers::text[], :digests::bytea[]);

-- adopted_at(city_code, file_sha256) -> datetime?
-- When the same sheet was taken in.
select confirmed_at from adoption
where city_code = :city_code and file_sha256 = :file_sha256 and confirmed_by is not null;

-- add_wish(city_code, file_sha256, pdfs_sha256, document_number, row_count, pdf_count, asked_by) -> int?
-- Nothing where the same wish stands already.
insert into adoption (city_code, file_sha256, pdfs_sha256, document_number, row_count, pdf_count,
    asked_by)
values (:city_code, :file_sha256, :pdfs_sha256, :document_number, :row_count, :pdf_count, :asked_by)
on conflict on constraint adoption_wish do nothing
returning adoption_id;

-- lock_wish(city_code, file_sha256, pdfs_sha256, document_number) -> _Wish
-- Held until the transaction ends.
select adoption_id, asked_by, confirmed_at from adoption
where city_code = :city_code and file_sha256 = :file_sha256 and pdfs_sha256 = :pdfs_sha256
    and document_number = :document_number
for update;

-- waiting(city_code, adoption_id) -> [int]
-- Other wishes that nobody confirmed.
select adoption_id from adoption
where city_code = :city_code and confirmed_by is null and adoption_id <> :adoption_id
order by adoption_id limit 100;

-- confirm(adoption_id, account_name) -> none
-- The second of two persons.
update adoption set confirmed_by = :account_name, confirmed_at = now()
where adoption_id = :adoption_id;

-- add_certificates(adoption_id, city_code, numbers, public_ids, names, sexes, id_kinds, ids_encrypted, person_keys, phone_keys, projects, exam_days, issue_days, authorities, standings, pdf_digests) -> none
-- One array for each column, so that a large sheet is one statement.
insert into certificate (origin, state, issued_at, adoption_id, city_code, number, public_id, name,
    sex, id_kind, id_encrypted, person_key, phone_key, project_name, exam_on, archived_on,
    issuing_authority, standing, pdf_sha256)
select 'adopted', 'issued', now(), :adoption_id, :city_code, given.*
from unnest(:numbers::text[], :public_ids::text[], :names::text[], :sexes::text[],
    :id_kinds::text[], :ids_encrypted::bytea[], :person_keys::bytea[], :phone_keys::bytea[],
    :projects::text[], :exam_days::date[], :issue_days::date[], :authorities::text[],
    :standings::text[], :pdf_digests::bytea[]) as given;

-- recent() -> [Adoption]
-- The newest of the actor's city; the province sees all.
select adoption_id, city_code, row_count, pdf_count, document_number, asked_by,
    (asked_at at time zone 'Asia/Shanghai')::date as asked_on, confirmed_by,
    (confirmed_at at time zone 'Asia/Shanghai')::date as confirmed_on
from adoption order by adoption_id desc limit 50;
