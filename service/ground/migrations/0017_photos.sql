-- Photos: the portrait of each person of a batch, and which one a certificate bears.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table photo (
    batch_id bigint not null references batch,
    city_code text not null references city,
    person_key bytea not null check (length(person_key) = 32),
    sha256 bytea not null check (length(sha256) = 32),
    uploaded_by text not null references account,
    uploaded_at timestamptz not null default now(),
    primary key (batch_id, person_key)
);
comment on table photo is 'Portraits of a batch''s persons, whose bytes lie under their digest in the store before the row is written. Where a row''s person or admission number is mended, the photos of who stood and who stands there go: whose they are is not certain.';

create function photo_is_of_open_batch() returns trigger language plpgsql as $$
begin
    perform from batch where batch_id = new.batch_id and city_code = new.city_code
        and state in ('draft', 'returned') for share;
    if not found then
        raise exception 'the batch is not open for this photo'
            using errcode = 'integrity_constraint_violation', constraint = 'batch_is_open';
    end if;
    return new;
end
$$;
create trigger batch_is_open before insert or update on photo
    for each row execute function photo_is_of_open_batch();

create function photo_of_mended_row() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    delete from photo where batch_id = new.batch_id
        and person_key in (old.person_key, new.person_key);
    return null;
end
$$;
create trigger photo_of_mended_row after update on result for each row
    when ((old.person_key, old.admission_number)
        is distinct from (new.person_key, new.admission_number))
    execute function photo_of_mended_row();

create trigger append_only_whole before truncate on photo
    for each statement execute function refuse_change();

alter table photo enable row level security;
create policy own_city on photo to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select, insert on photo to qianfa_console;
grant update (sha256, uploaded_by, uploaded_at) on photo to qianfa_console;

-- The public may know that there is a photo to compare, and never which.
alter table certificate
    add column photo_sha256 bytea check (length(photo_sha256) = 32),
    add column has_photo boolean not null default false,
    add constraint certificate_photo_told check (has_photo = (photo_sha256 is not null));
comment on column certificate.photo_sha256 is 'The portrait on the face, a part of it that no update changes; null for an empty frame.';
grant insert (photo_sha256, has_photo) on certificate to qianfa_console;
grant select (has_photo) on certificate to qianfa_public;

create or replace view entry with (security_invoker = true) as
    select number, version, public_id, name, project_name, exam_on, archived_on,
        issuing_authority,
        case when standing = 'replaced' then standing_of_replaced(number) else standing end
            as standing,
        case when standing = 'replaced' then (
            select max(newer.version) from certificate newer
            where newer.number = held.number and newer.version > held.version
                and newer.state = 'issued') end as successor,
        origin, status_index, statement_host, sealed_at, coalesce(specimen, false) as specimen,
        pdf_sha256, range_sha256,
        (select paper_digits from paper_shown
            where (paper_shown.number, paper_shown.version) = (held.number, held.version))
            as paper_digits,
        has_photo
    from certificate held left join seal_certificate on fingerprint = seal_fingerprint
    where state = 'issued';
