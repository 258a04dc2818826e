-- After issue: certificates change their standing or get a corrected version, by two persons; and
-- certificates from before Qianfa stand beside ours, never sealed by us.
-- Run before the code that uses it.

set local lock_timeout = '10s';

do $$
begin
    create role qianfa_portal nologin;
exception when duplicate_object or unique_violation then
    null;  -- roles belong to the server; another database of it has made it already
end
$$;
grant qianfa_portal to current_user;

alter table certificate
    add column origin text not null default 'sealed' check (origin in ('sealed', 'adopted')),
    add column replaces text,
    alter column batch_id drop not null,
    alter column row_number drop not null,
    alter column scheme_version drop not null,
    alter column identifier drop not null,
    alter column edition drop not null,
    alter column sex drop not null,
    alter column born_on drop not null,
    alter column score drop not null,
    alter column exam_on drop not null,
    alter column issuer_code drop not null,
    alter column seal_name drop not null,
    alter column examine_fully drop not null,
    drop constraint certificate_number_check,
    add constraint certificate_number_check check (
        number ~ case origin when 'sealed' then '^\d{8,20}$' else '^[0-9A-Z]{6,32}$' end),
    drop constraint certificate_issued_whole,
    add constraint certificate_issued_whole check (state <> 'issued' or origin = 'adopted' or (
        sealed_at is not null and status_index is not null and seal_fingerprint is not null
        and statement_kid is not null and statement_host is not null and pdf_sha256 is not null
        and range_sha256 is not null and issued_at is not null)),
    add constraint certificate_sealed_whole check (origin = 'adopted' or (
        batch_id is not null and row_number is not null and scheme_version is not null
        and identifier is not null and edition is not null and sex is not null
        and born_on is not null and score is not null and exam_on is not null
        and issuer_code is not null and seal_name is not null and examine_fully is not null)),
    add constraint certificate_adopted_plain check (origin = 'sealed' or (
        state = 'issued' and version = 1 and issued_at is not null and sealed_at is null
        and status_index is null and range_sha256 is null and batch_id is null)),
    add constraint certificate_replaces check ((replaces is not null) = (version > 1));
comment on column certificate.origin is 'adopted: issued before Qianfa, known to us and not sealed by us.';
comment on column certificate.replaces is 'The identifier of the version before (GB/T 36904).';

create index certificate_standing on certificate (status_index)
    where standing <> 'valid' and status_index is not null;

grant select (origin) on certificate to qianfa_public;

create function standing_of_replaced(replaced_number text) returns text language sql stable
    return coalesce((
        select standing from certificate where number = replaced_number and state = 'issued'
            and standing not in ('replaced', 'valid')), 'replaced');
comment on function standing_of_replaced is 'What is revoked, cancelled or suspended is so in its older versions too.';

create view entry with (security_invoker = true) as
    select number, version, public_id, name, project_name, exam_on, archived_on,
        issuing_authority,
        case when standing = 'replaced' then standing_of_replaced(number) else standing end
            as standing,
        case when standing = 'replaced' then (
            select max(newer.version) from certificate newer
            where newer.number = held.number and newer.version > held.version
                and newer.state = 'issued') end as successor,
        origin, status_index, statement_host, sealed_at, coalesce(specimen, false) as specimen,
        pdf_sha256, range_sha256
    from certificate held left join seal_certificate on fingerprint = seal_fingerprint
    where state = 'issued';
comment on view entry is 'An issued certificate, as far as the public may know it.';
grant select on entry to qianfa_public;

-- A version that can never be sealed stands in nobody's way.
drop index certificate_current;
create unique index certificate_current on certificate (number)
    where standing <> 'replaced' and state <> 'void';

-- Standing: it moves as a change is confirmed, and back when the version that was to replace it is
-- void. Revoked and cancelled are final.

create function certificate_standing_moves() returns trigger language plpgsql as $$
declare
    moves constant text[] := array['valid revoked', 'valid cancelled', 'valid suspended',
        'valid replaced', 'suspended valid', 'suspended revoked', 'suspended cancelled'];
begin
    if old.state = 'issued' and (old.standing || ' ' || new.standing = any (moves)
        or old.standing = 'replaced' and new.standing = 'valid' and not exists (
            select from certificate newer where newer.number = old.number
                and newer.version > old.version and newer.state <> 'void')) then
        return new;
    end if;
    raise exception 'a standing does not move from % to %', old.standing, new.standing
        using errcode = 'integrity_constraint_violation', constraint = 'certificate_standing_moves';
end
$$;
create trigger certificate_standing_moves before update of standing on certificate
    for each row when (old.standing <> new.standing) execute function certificate_standing_moves();

create function certificate_void_restores() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    update certificate set standing = 'valid'
    where number = new.number and identifier = new.replaces;
    return null;
end
$$;
comment on function certificate_void_restores is 'No holder is left without a certificate because its correction cannot be sealed.';
create trigger certificate_void_restores after update of state on certificate
    for each row when (new.state = 'void' and old.state <> 'void' and new.version > 1)
    execute function certificate_void_restores();

-- Changes: asked by one person, decided once by another.

create function change_target(kind text, origin text, standing text) returns text
    language sql immutable
    return case kind || ' ' || standing
        when 'revoke valid' then 'revoked'
        when 'revoke suspended' then 'revoked'
        when 'cancel valid' then 'cancelled'
        when 'cancel suspended' then 'cancelled'
        when 'suspend valid' then 'suspended'
        when 'lift suspended' then 'valid'
        when 'correct valid' then case origin when 'sealed' then 'replaced' end
    end;
comment on function change_target is 'The standing after a change, or null where there is no such change.';

create table change (
    change_id bigint generated always as identity primary key,
    city_code text not null references city,
    number text not null,
    version int not null,
    kind text not null check (kind in ('revoke', 'cancel', 'suspend', 'lift', 'correct')),
    reason text not null,
    document_number text not null,
    asked_by text not null references account,
    asked_at timestamptz not null default now(),
    state text not null default 'asked' check (state in ('asked', 'done', 'declined')),
    decided_by text references account,
    decided_at timestamptz,
    decline_reason text,
    name text,
    sex text,
    born_on date,
    id_kind text,
    id_encrypted bytea,
    person_key bytea check (length(person_key) = 32),
    phone_key bytea check (length(phone_key) = 32),
    score numeric(4, 1),
    exam_on date,
    foreign key (number, version) references certificate,
    constraint change_grounded check (
        reason ~ '\S' and document_number ~ '\S' and decline_reason ~ '\S'),
    constraint change_two_persons check (state <> 'done' or decided_by <> asked_by),
    constraint change_decided check (
        (state = 'asked') = (decided_by is null) and (state = 'asked') = (decided_at is null)
        and (state = 'declined') = (decline_reason is not null)),
    constraint change_corrects check (num_nonnulls(id_kind, id_encrypted, person_key) in (0, 3)
        and (phone_key is not null) <= (person_key is not null)
        and (kind = 'correct')
            = (num_nonnulls(name, sex, born_on, id_encrypted, score, exam_on) > 0))
);
comment on table change is 'What becomes of a certificate after issue; what a correction leaves null stays as it was.';
create unique index change_open on change (number) where state = 'asked';

create function change_applies() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    deciding constant text[] := array['state', 'decided_by', 'decided_at', 'decline_reason'];
    target text;
begin
    if tg_op = 'INSERT' and new.state <> 'asked'
        or tg_op = 'UPDATE' and (old.state <> 'asked'
            or to_jsonb(old) - deciding <> to_jsonb(new) - deciding) then
        raise exception 'a change is decided once'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    if new.state = 'declined' then
        return new;
    end if;
    select change_target(new.kind, origin, standing) into target from certificate
    where (number, version, city_code, state) = (new.number, new.version, new.city_code, 'issued')
    for share;  -- one that is asked while another is confirmed waits, and begins where that ended
    if target is null then
        raise exception 'the certificate does not stand where this change begins'
            using errcode = 'integrity_constraint_violation', constraint = 'change_applies';
    end if;
    if new.state = 'done' then
        update certificate set standing = target
        where number = new.number and version = new.version;
    end if;
    return new;
end
$$;
comment on function change_applies is 'The only way in which the console moves a standing.';
create trigger change_applies before insert or update on change
    for each row execute function change_applies();
create function change_has_successor() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if not exists (select from certificate before join certificate corrected using (number)
            where (before.number, before.version) = (new.number, new.version)
                and corrected.replaces = before.identifier and corrected.state <> 'void') then
        raise exception 'nothing stands in the place of what was corrected'
            using errcode = 'integrity_constraint_violation', constraint = 'change_has_successor';
    end if;
    return null;
end
$$;
create constraint trigger change_has_successor after update on change
    deferrable initially deferred for each row
    when (new.kind = 'correct' and new.state = 'done') execute function change_has_successor();
create trigger never_deleted before delete on change
    for each row execute function refuse_change();
create trigger append_only_whole before truncate on change
    for each statement execute function refuse_change();

alter table change enable row level security;
create policy own_city on change to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select, insert on change to qianfa_console;
grant update (state, decided_by, decided_at, decline_reason) on change to qianfa_console;

revoke update on certificate from qianfa_worker;
grant update (state, cause, claimed_by, claimed_at, claim_count, status_sequence, status_index,
    sealed_at, seal_fingerprint, statement_kid, statement_host, pdf_sha256, range_sha256, issued_at)
    on certificate to qianfa_worker;

-- What only the worker may know stays out of a new row, so no row can be issued as it is written.
revoke insert on certificate from qianfa_console;
grant insert (number, version, city_code, batch_id, row_number, scheme_version, public_id,
    identifier, edition, name, sex, born_on, id_kind, id_encrypted, person_key, project_name, score,
    exam_on, archived_on, issuing_authority, issuer_code, seal_name, examine_fully, replaces,
    origin, state, standing, issued_at, pdf_sha256) on certificate to qianfa_console;
