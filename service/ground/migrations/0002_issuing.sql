-- Numbers, batches and certificates. Run before the code that uses it.

set local lock_timeout = '10s';

-- Numbers: schemes are data, counters are rows that one city locks at a time.

create table number_scheme (
    scheme_version int primary key,
    valid_from date not null unique,
    reset text not null check (reset in ('yearly', 'never')),
    segments jsonb not null,
    document_number text not null
);

create table number_body (
    city_code text not null references city,
    body_serial int not null check (body_serial > 0),
    document_number text not null,
    primary key (city_code, body_serial)
);
comment on table number_body is 'Body serials opened for a city, used in ascending order as each runs out.';

create table number_counter (
    scheme_version int not null references number_scheme,
    city_code text not null,
    period int not null,
    body_serial int not null,
    first_sequence int not null check (first_sequence > 0),
    last_sequence int not null,
    document_number text,
    primary key (scheme_version, city_code, period, body_serial),
    foreign key (city_code, body_serial) references number_body,
    constraint number_counter_order check (last_sequence >= first_sequence - 1),
    constraint number_start_documented check (first_sequence = 1 or document_number is not null)
);
comment on column number_counter.period is 'The year of the archive date, or 0 where the scheme never resets.';

create function counter_only_rises() returns trigger language plpgsql as $$
begin
    if old.last_sequence = old.first_sequence - 1 and new.last_sequence = new.first_sequence - 1
    then
        return new;  -- not used yet: it may still be started elsewhere
    end if;
    if new.last_sequence <= old.last_sequence
       or (new.scheme_version, new.city_code, new.period, new.body_serial, new.first_sequence)
       is distinct from
          (old.scheme_version, old.city_code, old.period, old.body_serial, old.first_sequence) then
        raise exception 'a number counter only rises'
            using errcode = 'integrity_constraint_violation', constraint = 'counter_only_rises';
    end if;
    return new;
end
$$;
create trigger counter_only_rises before update on number_counter
    for each row execute function counter_only_rises();

-- Public keys: what our seals and statements are checked against.

create table seal_certificate (
    fingerprint bytea primary key check (length(fingerprint) = 32),
    city_code text not null references city,
    certificate bytea not null,
    chain bytea[] not null,
    specimen boolean not null,
    valid_from timestamptz not null,
    valid_until timestamptz not null
);
comment on column seal_certificate.chain is 'Issuing certificate, then root, DER.';

create table statement_key (
    kid bytea primary key check (length(kid) = 4),
    public_key bytea not null,
    valid_from timestamptz not null,
    valid_until timestamptz not null
);
comment on column statement_key.public_key is 'SubjectPublicKeyInfo, DER.';

-- Batches: one reviewed results workbook of one institution in one city.

create table batch (
    batch_id bigint generated always as identity primary key,
    city_code text not null references city,
    uscc text not null,
    file_name text not null,
    file_sha256 bytea not null check (length(file_sha256) = 32),
    state text not null default 'draft'
        check (state in ('draft', 'submitted', 'returned', 'withdrawn', 'approved')),
    imported_by text not null references account,
    imported_at timestamptz not null default now(),
    publicity_from date,
    publicity_until date,
    papers_received_on date,
    submitted_by text references account,
    submitted_at timestamptz,
    return_reason text,
    decided_by text references account,
    decided_at timestamptz,
    archived_on date,
    constraint batch_two_persons check (decided_by is null or decided_by <> submitted_by),
    constraint batch_publicity_order check (publicity_from <= publicity_until),
    constraint batch_approved_whole check (state <> 'approved'
        or (decided_by is not null and submitted_by is not null and archived_on is not null))
);

create unique index batch_file_known on batch (city_code, file_sha256)
    where state <> 'withdrawn';

create table evidence (
    batch_id bigint not null references batch,
    city_code text not null references city,
    evidence_name text not null,
    kind text not null check (kind in ('paper', 'video')),
    sha256 bytea not null check (length(sha256) = 32),
    kept_until date not null,
    primary key (batch_id, evidence_name)
);

create table commitment (
    batch_id bigint not null references batch,
    city_code text not null references city,
    party text not null check (party in ('candidates', 'institution')),
    committed_by text not null,
    committed_on date not null,
    text_sha256 bytea not null check (length(text_sha256) = 32),
    primary key (batch_id, party)
);
comment on table commitment is 'The two commitments to truth (双承诺制).';

create table result (
    batch_id bigint not null references batch,
    row_number int not null,
    city_code text not null references city,
    admission_number text not null,
    name text not null,
    sex text not null check (sex in ('男', '女')),
    id_kind text not null,
    id_encrypted bytea not null,
    person_key bytea not null check (length(person_key) = 32),
    born_on date not null,
    phone_encrypted bytea,
    project_name text not null,
    exam_on date not null,
    theory numeric(4, 1) check (theory between 0 and 100),
    practice numeric(4, 1) check (practice between 0 and 100),
    total numeric(4, 1) not null check (total between 0 and 100),
    passed boolean not null,
    remark text not null,
    primary key (batch_id, row_number),
    constraint result_person_once unique (batch_id, person_key, project_name)
);

create function batch_moves() returns trigger language plpgsql as $$
declare
    moves constant text[] := array['draft submitted', 'returned submitted', 'submitted returned',
        'submitted approved', 'draft withdrawn', 'returned withdrawn'];
begin
    if old.state in ('approved', 'withdrawn')
       or (old.state <> new.state and old.state || ' ' || new.state <> all (moves))
       or (old.batch_id, old.city_code, old.uscc, old.file_sha256)
          is distinct from (new.batch_id, new.city_code, new.uscc, new.file_sha256) then
        raise exception 'a batch does not move like this'
            using errcode = 'integrity_constraint_violation', constraint = 'batch_moves';
    end if;
    return new;
end
$$;
create trigger batch_moves before update on batch for each row execute function batch_moves();

create function batch_is_open() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or not exists (
        select 1 from batch where batch_id = new.batch_id and state in ('draft', 'returned')) then
        raise exception 'the batch is not open'
            using errcode = 'integrity_constraint_violation', constraint = 'batch_is_open';
    end if;
    return new;
end
$$;
create trigger batch_is_open before insert or update or delete on evidence
    for each row execute function batch_is_open();
create trigger batch_is_open before insert or update or delete on commitment
    for each row execute function batch_is_open();

-- Certificates: a `numbered` row is the intent and the queue; `issued` means its bytes are durable.

create table certificate (
    number text not null check (number ~ '^\d{8,20}$'),
    version int not null default 1 check (version between 1 and 999),
    city_code text not null references city,
    batch_id bigint not null,
    row_number int not null,
    scheme_version int not null references number_scheme,
    public_id text not null check (public_id ~ '^[0-9a-hjkmnp-tv-z]{16}$'),
    identifier text not null,
    edition text not null,
    name text not null,
    sex text not null,
    born_on date not null,
    id_kind text not null,
    id_encrypted bytea not null,
    person_key bytea not null,
    project_name text not null,
    score numeric(4, 1) not null,
    exam_on date not null,
    archived_on date not null,
    issuing_authority text not null,
    issuer_code text not null,
    seal_name text not null,
    examine_fully boolean not null,
    state text not null default 'numbered'
        check (state in ('numbered', 'parked', 'issued', 'void')),
    standing text not null default 'valid'
        check (standing in ('valid', 'revoked', 'suspended', 'replaced', 'cancelled')),
    claimed_by text,
    claimed_at timestamptz,
    claim_count int not null default 0,
    status_sequence bigint,
    status_index bigint,
    sealed_at timestamptz,
    seal_fingerprint bytea references seal_certificate,
    statement_kid bytea references statement_key,
    statement_host text,
    pdf_sha256 bytea check (length(pdf_sha256) = 32),
    range_sha256 bytea check (length(range_sha256) = 32),
    issued_at timestamptz,
    cause text,
    void_reason text,
    void_asked_by text references account,
    voided_by text references account,
    primary key (number, version),
    foreign key (batch_id, row_number) references result,
    constraint certificate_public_id unique (public_id),
    constraint certificate_identifier unique (identifier),
    constraint certificate_status_index unique (status_index),
    constraint certificate_pdf unique (pdf_sha256),
    constraint certificate_row_once unique (batch_id, row_number, version),
    constraint certificate_issued_whole check (state <> 'issued' or (
        sealed_at is not null and status_index is not null and seal_fingerprint is not null
        and statement_kid is not null and statement_host is not null and pdf_sha256 is not null
        and range_sha256 is not null and issued_at is not null)),
    constraint certificate_parked_named check ((state = 'parked') <= (cause is not null)),
    constraint certificate_void_two_persons check (voided_by <> void_asked_by),
    constraint certificate_void_whole check (
        state <> 'void' or (void_asked_by is not null and voided_by is not null))
);
create unique index certificate_held_once on certificate (person_key, project_name)
    where state <> 'void' and standing in ('valid', 'suspended');
create index certificate_queue on certificate (state, number, version)
    where state in ('numbered', 'parked');
create index certificate_suspect on certificate (number, version)
    where state = 'numbered' and claim_count >= 3;
create index certificate_of_batch on certificate (batch_id, state);
create unique index certificate_range on certificate (range_sha256) where range_sha256 is not null;
create unique index certificate_current on certificate (number) where standing <> 'replaced';

create sequence status_sequence;
comment on sequence status_sequence is 'Plain places in the status lists; gaps are harmless.';

create function certificate_keeps_its_face() returns trigger language plpgsql as $$
declare
    changing constant text[] := array['state', 'standing', 'claimed_by', 'claimed_at',
        'claim_count',
        'status_sequence', 'status_index', 'sealed_at', 'seal_fingerprint', 'statement_kid',
        'statement_host', 'pdf_sha256', 'range_sha256', 'issued_at', 'cause', 'void_reason',
        'void_asked_by', 'voided_by'];
    moves constant text[] := array['numbered issued', 'numbered parked', 'numbered void',
        'parked numbered', 'parked void'];
begin
    if to_jsonb(old) - changing <> to_jsonb(new) - changing
       or (old.state <> new.state and old.state || ' ' || new.state <> all (moves))
       or (old.sealed_at is not null and (old.sealed_at, old.status_index, old.seal_fingerprint,
            old.statement_kid, old.statement_host) is distinct from (new.sealed_at,
            new.status_index, new.seal_fingerprint, new.statement_kid, new.statement_host))
       or (old.state = 'issued' and (old.pdf_sha256, old.range_sha256, old.issued_at)
            is distinct from (new.pdf_sha256, new.range_sha256, new.issued_at)) then
        raise exception 'a certificate keeps its face'
            using errcode = 'integrity_constraint_violation', constraint = 'certificate_keeps_its_face';
    end if;
    return new;
end
$$;
create trigger certificate_keeps_its_face before update on certificate
    for each row execute function certificate_keeps_its_face();

create function certificates_held(person_keys bytea[])
    returns table (person_key bytea, project_name text, number text, batch_id bigint)
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select held.person_key, held.project_name, held.number, held.batch_id from certificate held
    where held.person_key = any (person_keys)
        and held.state <> 'void' and held.standing in ('valid', 'suspended');
end;
comment on function certificates_held is 'Looks across cities, where row-level security would hide them (gate 8).';

do $$
declare
    name text;
begin
    foreach name in array array['certificate', 'result', 'batch'] loop
        execute format('create trigger never_deleted before delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    foreach name in array array['number_scheme', 'number_body', 'seal_certificate', 'statement_key',
            'result'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    foreach name in array array['certificate', 'result', 'batch', 'number_scheme', 'number_body',
            'number_counter', 'seal_certificate', 'statement_key'] loop
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;

    foreach name in array array['number_body', 'number_counter', 'batch', 'evidence', 'commitment',
            'result', 'certificate'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
create policy worker_all on certificate to qianfa_worker using (true);
create policy public_issued on certificate for select to qianfa_public using (state = 'issued');

grant select, insert on number_scheme, number_body, number_counter, seal_certificate, statement_key,
    batch, evidence, commitment, result, certificate to qianfa_console;
grant update (first_sequence, last_sequence, document_number) on number_counter to qianfa_console;
grant update on batch to qianfa_console;
grant update on evidence, commitment to qianfa_console;
grant update (state, cause, claimed_by, claimed_at, claim_count, void_reason, void_asked_by, voided_by)
    on certificate to qianfa_console;
grant usage on sequence status_sequence to qianfa_worker;
grant select, update on certificate to qianfa_worker;
grant select on seal_certificate, statement_key to qianfa_worker, qianfa_public;
grant select (number, version, city_code, public_id, name, project_name, exam_on, archived_on,
    issuing_authority, state, standing, sealed_at, status_index, statement_host, seal_fingerprint,
    pdf_sha256, range_sha256) on certificate to qianfa_public;
