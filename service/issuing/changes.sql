-- current(number, kind) -> _Current?
-- The version that counts, and where a change would take it; null where there is no such change.
select version, city_code, origin, case state when 'issued' then standing else state end as standing,
    case state when 'issued' then change_target(:kind, origin, standing) end as target
from certificate where number = :number and standing <> 'replaced' and state <> 'void';

-- face(number, version) -> Certificate
-- All that stands on one version of a certificate.
select number, version, city_code, public_id, identifier, edition, name, sex, born_on, id_kind,
    id_encrypted, project_name, score, exam_on, archived_on, issuing_authority, issuer_code,
    seal_name, replaces, photo_sha256
from certificate where number = :number and version = :version;

-- phone(number, version) -> bytes?
-- The phone in the row of results that a certificate came of, if there is one.
select phone_encrypted from certificate join result using (batch_id, row_number)
where number = :number and version = :version and phone_encrypted is not null;

-- ask_change(city_code, number, version, kind, reason, document_number, account_name, name, sex, born_on, id_kind, id_encrypted, person_key, phone_key, score, exam_on) -> int
-- The first of two persons.
insert into change (city_code, number, version, kind, reason, document_number, asked_by, name, sex,
    born_on, id_kind, id_encrypted, person_key, phone_key, score, exam_on)
values (:city_code, :number, :version, :kind, :reason, :document_number, :account_name, :name, :sex,
    :born_on, :id_kind, :id_encrypted, :person_key, :phone_key, :score, :exam_on)
returning change_id;

-- lock_change(change_id) -> _Asked?
-- The change and its certificate, held until the transaction ends.
select change_id, kind, change.state, number, version, change.city_code, asked_by, origin, standing,
    identifier, change_target(kind, origin, standing) as target,
    (select max(latest.version) + 1 from certificate latest
        where latest.number = change.number) as next_version
from change join certificate using (number, version)
where change_id = :change_id
for update of change, certificate;

-- decide(change_id, state, account_name, decline_reason) -> none
-- A trigger moves the standing where it is done.
update change set state = :state, decided_by = :account_name, decided_at = now(),
    decline_reason = :decline_reason
where change_id = :change_id;

-- number_again(change_id, version, public_id, identifier, edition) -> none
-- The corrected face under the same number; the worker is woken when the transaction commits.
with numbered as (
    insert into certificate (number, version, city_code, batch_id, row_number, scheme_version,
        public_id, identifier, edition, name, sex, born_on, id_kind, id_encrypted, person_key,
        project_name, score, exam_on, archived_on, issuing_authority, issuer_code, seal_name,
        examine_fully, replaces, phone_key, photo_sha256, has_photo)
    select number, :version, before.city_code, batch_id, row_number, scheme_version, :public_id,
        :identifier, :edition, coalesce(change.name, before.name), coalesce(change.sex, before.sex),
        coalesce(change.born_on, before.born_on), coalesce(change.id_kind, before.id_kind),
        coalesce(change.id_encrypted, before.id_encrypted),
        coalesce(change.person_key, before.person_key), project_name,
        coalesce(change.score, before.score), coalesce(change.exam_on, before.exam_on), archived_on,
        issuing_authority, issuer_code, seal_name, true, before.identifier,
        coalesce(change.phone_key, before.phone_key), photo_sha256, has_photo
    from change join certificate before using (number, version)
    where change_id = :change_id
)
select pg_notify('certificate_numbered', '');

-- waiting() -> [_Waiting]
-- What nobody has decided yet, in the order in which it was asked.
select change_id, kind, number, version, certificate.name as holder, reason, document_number,
    asked_by, asked_at, change.name, change.sex, change.born_on, change.id_kind,
    change.id_encrypted, change.person_key, change.phone_key, change.score, change.exam_on
from change join certificate using (number, version)
where change.state = 'asked'
order by change_id limit 1000;
