-- Who acts, what they did, and what the gates read: accounts, journal, catalogue, institutions.
-- Run before the code that uses it. Official facts are effective-dated rows that are never changed:
-- a change is another row with a later valid_from.

set local lock_timeout = '10s';

do $$
declare
    role_name text;
begin
    foreach role_name in array array['qianfa_console', 'qianfa_worker', 'qianfa_public'] loop
        begin
            execute format('create role %I nologin', role_name);
        exception when duplicate_object or unique_violation then
            null;  -- roles belong to the server; another database of it has made them already
        end;
        execute format('grant %I to current_user', role_name);
    end loop;
end
$$;

create function acting_for(city_code text) returns boolean language sql stable
    return current_setting('qianfa.city', true) in (city_code, '510000');

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = 'append_only';
end
$$;

create table city (
    city_code text primary key check (city_code ~ '^\d{6}$')
);
comment on table city is 'The province (510000) and its cities, GB/T 2260. What each is called when is in centre.';
insert into city (city_code) values ('510000');

-- Journal: one hash chain for each city, so that cities never wait for each other.

create table journal_head (
    city_code text primary key references city,
    sequence bigint not null,
    hash bytea not null
);

create table journal (
    city_code text not null references city,
    sequence bigint not null,
    at timestamptz not null,
    actor text not null,
    act text not null,
    subject text not null,
    detail jsonb not null,
    previous bytea not null,
    hash bytea not null,
    primary key (city_code, sequence)
);
comment on table journal is 'Every act with its actor; hash = SHA-256(previous hash, the entry).';

create function journal_bytes(entry journal) returns bytea language sql stable
    return convert_to(jsonb_build_array(
        entry.city_code, entry.sequence, extract(epoch from entry.at), entry.actor, entry.act,
        entry.subject, entry.detail
    )::text, 'UTF8');

create function journal_chain() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    insert into journal_head values (new.city_code, 0, '\x') on conflict do nothing;
    select head.sequence + 1, head.hash into new.sequence, new.previous
        from journal_head head where head.city_code = new.city_code for update;
    new.at := clock_timestamp();
    new.hash := sha256(new.previous || journal_bytes(new));
    update journal_head set sequence = new.sequence, hash = new.hash
        where city_code = new.city_code;
    return new;
end
$$;

create trigger journal_chain before insert on journal
    for each row execute function journal_chain();

-- Accounts.

create table account (
    account_name text primary key check (account_name ~ '^[a-z][a-z0-9_-]{1,30}$'),
    role text not null check (role in ('province', 'operator', 'reviewer')),
    city_code text not null references city,
    secret_hash text not null,
    added_at timestamptz not null default now(),
    disabled_at timestamptz,
    constraint account_province check ((role = 'province') = (city_code = '510000'))
);

-- Catalogue.

create table centre (
    city_code text not null references city,
    valid_from date not null,
    city_name text not null,
    centre_name text not null,
    issuing_authority text not null,
    issuer_code text not null check (issuer_code ~ '^[0-9A-Z]{18}$'),
    seal_name text not null,
    number_digits text not null check (number_digits ~ '^\d{1,6}$'),
    document_number text not null,
    primary key (city_code, valid_from)
);
comment on table centre is 'What a city and its centre are called from a day on; old certificates keep the old names.';

create function centre_on(day date) returns setof centre language sql stable
begin atomic
    select distinct on (city_code) * from centre
    where valid_from <= day order by city_code, valid_from desc;
end;

create table project (
    project_name text not null check (length(project_name) between 2 and 60),
    city_code text not null references city,
    valid_from date not null,
    kind text not null check (kind in ('unified', 'daily', 'closed')),
    document_number text not null,
    primary key (project_name, city_code, valid_from)
);
comment on table project is 'What is assessed, how, from a day on; a city''s own row stands before the province''s.';

create function project_on(name text, city text, day date) returns text language sql stable
begin atomic
    select kind from project
    where project_name = name and city_code in (city, '510000') and valid_from <= day
    order by (city_code = city) desc, valid_from desc limit 1;
end;
comment on function project_on is 'The kind of a project in a city on a day, or null where it is not in the catalogue.';

create table daily_session (
    starts_on date primary key,
    session_number int not null,
    papers_until date not null,
    document_number text not null,
    constraint daily_session_order check (papers_until <= starts_on)
);
comment on table daily_session is 'Session calendar (日常考核计划表): an exam lies in [starts_on, starts_on + 7 days).';

create table announcement (
    city_code text not null references city,
    project_name text not null,
    starts_on date not null,
    ends_on date not null,
    papers_until date not null,
    document_number text not null,
    primary key (city_code, project_name, starts_on),
    constraint announcement_order check (papers_until <= starts_on and starts_on <= ends_on)
);
comment on table announcement is 'A unified session (统考公告) of a centre; the province''s hold in every city.';

create table session_exception (
    city_code text not null references city,
    uscc text not null,
    project_name text not null,
    exam_on date not null,
    waives text not null check (waives in ('session', 'deadline')),
    reason text not null,
    document_number text not null,
    primary key (city_code, uscc, project_name, exam_on, waives)
);

-- Institutions.

create table institution (
    uscc text not null check (uscc ~ '^[0-9A-HJ-NPQRTUWXY]{18}$'),
    valid_from date not null,
    institution_name text not null,
    primary key (uscc, valid_from)
);

create table filing (
    uscc text not null,
    authority_code text not null references city,
    kind text not null check (kind in ('unified', 'daily')),
    project_names text[] not null check (cardinality(project_names) > 0),
    valid_from date not null,
    valid_until date not null,
    document_number text not null,
    primary key (uscc, document_number, kind),
    constraint filing_order check (valid_from <= valid_until)
);
comment on table filing is 'Permission (备案) of an institution to assess projects, given by a city or the province.';

create table cross_filing (
    city_code text not null references city,
    uscc text not null,
    valid_from date not null,
    valid_until date not null,
    document_number text not null,
    primary key (city_code, uscc, valid_from),
    constraint cross_filing_order check (valid_from <= valid_until)
);

create table plan (
    city_code text not null references city,
    uscc text not null,
    project_name text not null,
    starts_on date not null,
    reported_on date not null,
    document_number text not null,
    primary key (city_code, uscc, project_name, starts_on)
);

-- What is written stays written; what belongs to a city is seen by it and by the province.

do $$
declare
    name text;
begin
    foreach name in array array['journal', 'centre', 'project', 'daily_session', 'announcement',
            'session_exception', 'institution', 'filing', 'cross_filing', 'plan'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;

    foreach name in array array['account', 'journal', 'announcement', 'session_exception',
            'cross_filing', 'plan', 'project', 'centre'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I for insert to qianfa_console
            with check (acting_for(city_code))', name);
    end loop;

    foreach name in array array['account', 'journal', 'session_exception', 'cross_filing', 'plan'] loop
        execute format('create policy own_city_seen on %I for select to qianfa_console
            using (acting_for(city_code))', name);
    end loop;

    foreach name in array array['announcement', 'project', 'centre'] loop
        execute format('create policy everyone_sees on %I for select using (true)', name);
    end loop;
end
$$;

create policy own_city_changed on account for update to qianfa_console using (acting_for(city_code));
create policy worker_writes on journal to qianfa_worker using (true) with check (true);
alter table filing enable row level security;
create policy everyone_sees on filing for select using (true);
create policy own_authority on filing for insert to qianfa_console
    with check (acting_for(authority_code));

grant select, insert on journal, centre, project, daily_session, announcement, session_exception,
    institution, filing, cross_filing, plan, account to qianfa_console;
grant update (disabled_at) on account to qianfa_console;
grant select, insert on city to qianfa_console;
grant insert on journal to qianfa_worker;
grant select on city, centre to qianfa_worker, qianfa_public;
