-- The portal: holders find their certificates, share them and report mistakes. Its role has no
-- table of its own; it asks the functions below, each of which answers for what it is shown: keyed
-- hashes of a person, the hash of a session's token, or the hash of a share link's token.
-- Run before the code that uses it.

set local lock_timeout = '10s';

alter table result add column phone_key bytea check (length(phone_key) = 32);
comment on column result.phone_key is 'Keyed hash of person and last four digits of the phone; null in rows from before it.';

create index certificate_of_person on certificate (person_key);

create table portal_session (
    session bytea primary key check (length(session) = 32),
    person_keys bytea[] not null check (cardinality(person_keys) > 0),
    started_at timestamptz not null,
    expires_at timestamptz not null
);
comment on table portal_session is 'Persons who have proved who they are; session is the SHA-256 of a token.';

create table share_link (
    share_id bigint generated always as identity primary key,
    public_id text not null references certificate (public_id),
    seed bytea not null check (length(seed) = 16),
    token_hash bytea not null unique check (length(token_hash) = 32),
    made_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);
comment on column share_link.seed is 'The token is a keyed hash of it, so that its holder can be shown it again.';
create index share_link_of_certificate on share_link (public_id);

create table share_look (
    share_id bigint not null references share_link,
    looked_on date not null,
    count int8 not null check (count > 0),
    primary key (share_id, looked_on)
);
comment on table share_look is 'How often a share link was opened on a day; never by whom.';

create table mistake_report (
    report_id bigint generated always as identity primary key,
    city_code text not null references city,
    public_id text not null references certificate (public_id),
    field text not null check (field in ('name', 'sex', 'born_on', 'id_number', 'project', 'exam_on', 'other')),
    proposal text not null check (length(proposal) between 1 and 200),
    made_at timestamptz not null,
    taken_by text references account,
    taken_at timestamptz
);
create index mistake_report_of_certificate on mistake_report (public_id);
create index mistake_report_open on mistake_report (city_code, report_id) where taken_at is null;
alter table mistake_report enable row level security;
create policy own_city on mistake_report to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select, update (taken_by, taken_at) on mistake_report to qianfa_console;

-- Of one certificate there are at most five live share links and three open reports, however many
-- are asked for at once.

create function share_link_few() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('share_link ' || new.public_id, 0));
    if (select count(*) from share_link held where held.public_id = new.public_id
            and held.revoked_at is null and held.expires_at > new.made_at) >= 5 then
        raise exception 'enough share links'
            using errcode = 'integrity_constraint_violation', constraint = 'share_link_few';
    end if;
    return new;
end
$$;
create trigger share_link_few before insert on share_link
    for each row execute function share_link_few();

create function mistake_report_few() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('mistake_report ' || new.public_id, 0));
    if (select count(*) from mistake_report held where held.public_id = new.public_id
            and held.taken_at is null) >= 3 then
        raise exception 'enough open reports'
            using errcode = 'integrity_constraint_violation', constraint = 'mistake_report_few';
    end if;
    return new;
end
$$;
create trigger mistake_report_few before insert on mistake_report
    for each row execute function mistake_report_few();

-- What the portal may ask.

create function portal_find(person_keys bytea[], phone_keys bytea[])
    returns table (person_key bytea, name text, number text, phone_agrees boolean)
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select held.person_key, held.name, held.number,
        coalesce(coalesce(held.phone_key, row_of.phone_key) = asked.phone_key, false)
    from unnest(person_keys, phone_keys) as asked (person_key, phone_key)
    join certificate held on held.person_key = asked.person_key and held.state = 'issued'
    left join result row_of on row_of.batch_id = held.batch_id and row_of.row_number = held.row_number
    limit 999;
end;

create function portal_begin(token_hash bytea, proven_keys bytea[], at timestamptz) returns void
    language sql security definer set search_path = public, pg_temp
begin atomic
    delete from portal_session where expires_at < at;
    insert into portal_session (session, person_keys, started_at, expires_at)
        values (token_hash, proven_keys, at, at + interval '15 minutes');
end;

create function portal_end(token_hash bytea) returns void
    language sql security definer set search_path = public, pg_temp
begin atomic
    delete from portal_session where session = token_hash;
end;

create function portal_held(token_hash bytea, at timestamptz)
    returns table (number text, version int, public_id text, name text, project_name text,
        exam_on date, archived_on date, issuing_authority text, standing text, origin text,
        specimen boolean, has_file boolean)
    language sql security definer set search_path = public, pg_temp
begin atomic
    with live as (
        update portal_session
        set expires_at = least(at + interval '15 minutes', started_at + interval '1 hour')
        where session = token_hash and expires_at > at
        returning person_keys
    )
    select held.number, held.version, held.public_id, held.name, held.project_name, held.exam_on,
        held.archived_on, held.issuing_authority, held.standing, held.origin,
        coalesce(seal.specimen, false), held.pdf_sha256 is not null
    from live
    cross join unnest(live.person_keys) as proven (person_key)
    join certificate held on held.person_key = proven.person_key and held.state = 'issued'
    left join seal_certificate seal on seal.fingerprint = held.seal_fingerprint
    order by held.archived_on desc, held.number desc, held.version desc limit 200;
end;
comment on function portal_held is 'All certificates of a session''s person, which then lasts on; a dead session has none.';

create function portal_owns(token_hash bytea, at timestamptz, wanted_id text) returns boolean
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select exists (
        select from portal_session
        join certificate held on held.person_key = any (person_keys) and held.state = 'issued'
        where session = token_hash and expires_at > at and held.public_id = wanted_id);
end;

create function portal_share(token_hash bytea, at timestamptz, wanted_id text, new_seed bytea,
        share_hash bytea, until timestamptz) returns boolean
    language sql security definer set search_path = public, pg_temp
begin atomic
    with made as (
        insert into share_link (public_id, seed, token_hash, made_at, expires_at)
        select held.public_id, new_seed, share_hash, at, until from certificate held
        where held.public_id = wanted_id and held.standing = 'valid'
            and portal_owns(portal_share.token_hash, at, wanted_id)
        returning share_id
    )
    select exists (select from made);
end;

create function portal_shares(token_hash bytea, at timestamptz, wanted_id text)
    returns table (share_id bigint, seed bytea, expires_at timestamptz, ended boolean,
        look_days date[], look_counts int8[])
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select link.share_id, link.seed, link.expires_at,
        link.revoked_at is not null or link.expires_at <= at,
        array(select looked_on from share_look look where look.share_id = link.share_id
            order by looked_on desc limit 90),
        array(select count from share_look look where look.share_id = link.share_id
            order by looked_on desc limit 90)
    from share_link link
    where link.public_id = wanted_id and portal_owns(portal_shares.token_hash, at, wanted_id)
    order by link.revoked_at is null and link.expires_at > at desc, link.share_id desc limit 20;
end;

create function portal_unshare(token_hash bytea, at timestamptz, wanted_id text, wanted_share bigint)
    returns boolean language sql security definer set search_path = public, pg_temp
begin atomic
    with ended as (
        update share_link link set revoked_at = coalesce(revoked_at, at)
        where link.share_id = wanted_share and link.public_id = wanted_id
            and portal_owns(portal_unshare.token_hash, at, wanted_id)
        returning link.share_id
    )
    select exists (select from ended);
end;

create function portal_open(share_hash bytea, at timestamptz, counted boolean) returns text
    language sql security definer set search_path = public, pg_temp
begin atomic
    with live as (
        select link.share_id, link.public_id from share_link link
        where link.token_hash = share_hash and link.revoked_at is null and link.expires_at > at
    ), looked as (
        insert into share_look (share_id, looked_on, count)
        select share_id, (at at time zone 'Asia/Shanghai')::date, 1 from live where counted
        on conflict (share_id, looked_on) do update set count = share_look.count + 1
    )
    select public_id from live;
end;

create function portal_report(token_hash bytea, at timestamptz, wanted_id text, wrong_field text,
        right_words text) returns boolean
    language sql security definer set search_path = public, pg_temp
begin atomic
    with made as (
        insert into mistake_report (city_code, public_id, field, proposal, made_at)
        select held.city_code, held.public_id, wrong_field, right_words, at from certificate held
        where held.public_id = wanted_id and portal_owns(portal_report.token_hash, at, wanted_id)
        returning report_id
    )
    select exists (select from made);
end;

create function portal_reports(token_hash bytea, at timestamptz, wanted_id text)
    returns table (field text, proposal text, made_at timestamptz, taken_at timestamptz)
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select report.field, report.proposal, report.made_at, report.taken_at
    from mistake_report report
    where report.public_id = wanted_id and portal_owns(portal_reports.token_hash, at, wanted_id)
    order by report.report_id desc limit 20;
end;

do $$
declare
    name text;
begin
    foreach name in array array['portal_find(bytea[], bytea[])',
            'portal_begin(bytea, bytea[], timestamptz)', 'portal_end(bytea)',
            'portal_held(bytea, timestamptz)', 'portal_owns(bytea, timestamptz, text)',
            'portal_share(bytea, timestamptz, text, bytea, bytea, timestamptz)',
            'portal_shares(bytea, timestamptz, text)',
            'portal_unshare(bytea, timestamptz, text, bigint)',
            'portal_open(bytea, timestamptz, boolean)',
            'portal_report(bytea, timestamptz, text, text, text)',
            'portal_reports(bytea, timestamptz, text)'] loop
        execute format('revoke all on function %s from public', name);
        execute format('grant execute on function %s to qianfa_portal', name);
    end loop;
end
$$;
revoke execute on function portal_owns from qianfa_portal;
revoke execute on function certificates_held from public;
grant execute on function certificates_held to qianfa_console;
