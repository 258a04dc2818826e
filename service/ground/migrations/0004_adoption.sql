-- Adoption: certificates issued before Qianfa are taken in, a whole sheet at once, by two persons.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table adoption (
    adoption_id bigint generated always as identity primary key,
    city_code text not null references city,
    file_sha256 bytea not null check (length(file_sha256) = 32),
    pdfs_sha256 bytea not null check (length(pdfs_sha256) = 32),
    document_number text not null check (length(document_number) between 2 and 60),
    row_count int not null check (row_count > 0),
    pdf_count int not null check (pdf_count between 0 and row_count),
    asked_by text not null references account,
    asked_at timestamptz not null default now(),
    confirmed_by text references account,
    confirmed_at timestamptz,
    constraint adoption_wish unique (city_code, file_sha256, pdfs_sha256, document_number),
    constraint adoption_two_persons check (confirmed_by <> asked_by),
    constraint adoption_confirmed check ((confirmed_by is null) = (confirmed_at is null))
);
comment on table adoption is 'A wish to take a sheet of certificates in; the sheet itself is not kept, so who confirms it must hold the same one.';
comment on column adoption.pdfs_sha256 is 'SHA-256 over each number that has a file and the SHA-256 of it.';
create unique index adoption_file_once on adoption (city_code, file_sha256)
    where confirmed_by is not null;

create function adoption_is_confirmed_once() returns trigger language plpgsql as $$
declare
    confirming constant text[] := array['confirmed_by', 'confirmed_at'];
begin
    if old.confirmed_by is not null or to_jsonb(old) - confirming <> to_jsonb(new) - confirming then
        raise exception 'a wish is confirmed once'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    return new;
end
$$;
create trigger confirmed_once before update on adoption
    for each row execute function adoption_is_confirmed_once();
create trigger never_deleted before delete on adoption
    for each row execute function refuse_change();
create trigger append_only_whole before truncate on adoption
    for each statement execute function refuse_change();

alter table adoption enable row level security;
create policy own_city on adoption to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select, insert on adoption to qianfa_console;
grant update (confirmed_by, confirmed_at) on adoption to qianfa_console;

alter table certificate
    add column adoption_id bigint references adoption,
    add column phone_key bytea check (length(phone_key) = 32),
    add constraint certificate_adopted_by check ((origin = 'adopted') = (adoption_id is not null));
grant insert (adoption_id, phone_key) on certificate to qianfa_console;
comment on column certificate.phone_key is 'Like result.phone_key, of a certificate that has no row of results or was corrected.';

create function certificate_is_adopted() returns trigger language plpgsql as $$
begin
    if not exists (select from adoption
            where adoption_id = new.adoption_id and city_code = new.city_code
                and confirmed_at = now()) then
        raise exception 'nobody confirms this adoption now'
            using errcode = 'integrity_constraint_violation', constraint = 'certificate_adopted_by';
    end if;
    return new;
end
$$;
comment on function certificate_is_adopted is 'Nothing joins an adoption but in the transaction that confirms it.';
create trigger adopted_by_two before insert on certificate
    for each row when (new.origin = 'adopted') execute function certificate_is_adopted();

create function certificates_taken(numbers text[], digests bytea[])
    returns table (number text, pdf_sha256 bytea)
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select held.number, held.pdf_sha256 from certificate held
    where held.number = any (numbers)
    union
    select held.number, held.pdf_sha256 from certificate held
    where held.pdf_sha256 = any (digests);
end;
comment on function certificates_taken is 'Looks across cities, where row-level security would hide them.';
revoke execute on function certificates_taken from public;
grant execute on function certificates_taken to qianfa_console;
