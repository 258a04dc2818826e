-- register_document(sha256, city_code, kind, subject, page_count, sealed_at, seal_fingerprint, asked_by) -> bytes?
-- Nothing where the very same file is registered already.
insert into sealed_document (sha256, city_code, kind, subject, page_count, sealed_at,
    seal_fingerprint, asked_by)
values (:sha256, :city_code, :kind, :subject, :page_count, :sealed_at, :seal_fingerprint, :asked_by)
on conflict do nothing
returning sha256;

-- subject_city(kind, subject) -> str?
-- Whose a subject is; null where the actor's city cannot see it.
select attachment_city(:kind, :subject);

-- attach(city_code, subject_kind, subject, sha256, file_name, media_type, byte_count, attached_by) -> bytes?
-- Nothing where the very same file is attached there already.
insert into attachment (city_code, subject_kind, subject, sha256, file_name, media_type,
    byte_count, attached_by)
values (:city_code, :subject_kind, :subject, :sha256, :file_name, :media_type, :byte_count,
    :attached_by)
on conflict do nothing
returning sha256;

-- attachments(subject_kind, subject) -> [Attachment]
-- What is attached to a subject, oldest first.
select sha256, file_name, media_type, byte_count, attached_by, attached_at
from attachment where subject_kind = :subject_kind and subject = :subject
order by attached_at, sha256 limit 1000;

-- attached(sha256) -> bytes?
-- The digest itself where something of the actor's city has these bytes attached.
select sha256 from attachment where sha256 = :sha256 limit 1;
