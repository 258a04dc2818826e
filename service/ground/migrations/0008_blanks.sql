-- Blanks: series of preprinted paper, where every serial is, and the movements that took it there.
-- Run before the code that uses it.

set local lock_timeout = '10s';

-- Keepers look after blanks and auditors look at everything, each of a city or of the province.

alter table account
    drop constraint account_role_check,
    add constraint account_role_check
        check (role in ('province', 'operator', 'reviewer', 'keeper', 'auditor')),
    drop constraint account_province,
    add constraint account_province check (case role
        when 'province' then city_code = '510000'
        when 'operator' then city_code <> '510000'
        when 'reviewer' then city_code <> '510000'
        else true end);

create table blank_series (
    series_id int generated always as identity primary key,
    series_code text not null unique check (series_code ~ '^[0-9a-z][0-9a-z-]{1,19}$'),
    year int not null check (year between 2000 and 2999),
    kind text not null check (kind in ('inner', 'cover')),
    prefix text not null check (prefix ~ '^[^\s,;，；、~～至—–-]{0,10}$'),
    digit_count int not null check (digit_count between 4 and 12),
    edition text not null check (edition ~ '^[0-9a-z][0-9a-z-]{0,19}$'),
    document_number text not null,
    recorded_at timestamptz not null default now(),
    constraint blank_series_serials unique (kind, prefix, digit_count)
);
comment on table blank_series is 'A print of blank paper: inner sheets (内芯) or covers (证书壳); a serial is its prefix and digits.';

-- Where a serial is: an account is a city (or the province) and a state. What is in no row is
-- outside the books.

create table blank_stock (
    series_id int not null references blank_series,
    serials int8range not null check (not isempty(serials)),
    city_code text not null references city,
    state text not null check (state in ('at-province', 'in-transit', 'short', 'at-city', 'drawn',
        'printed', 'handed-over', 'sent-back', 'lost', 'pending-destruction', 'destroyed')),
    constraint blank_stock_once exclude using gist (
        int4range(series_id, series_id, '[]') with &&, serials with &&)
);
comment on table blank_stock is 'Kept by the trigger blank_moves alone: ranges split and merge, so cost grows with ranges, not with sheets.';
create index blank_stock_account on blank_stock (city_code, state, series_id, lower(serials));

-- What may move whither. `from_side` and `to_side` tell whose account it is where a movement
-- stands in a city's chain; `whose` tells who may record it; `counterable` whether a
-- counter-movement may take it back.

create table blank_path (
    kind text not null,
    from_state text not null,
    to_state text not null,
    from_side text not null check (from_side in ('province', 'city')),
    to_side text not null check (to_side in ('province', 'city')),
    whose text not null check (whose in ('province', 'city', 'either')),
    person_count int not null check (person_count between 1 and 3),
    counterable boolean not null,
    primary key (kind, from_state, to_state)
);
insert into blank_path values
    ('take-in', 'outside', 'at-province', 'province', 'province', 'province', 1, true),
    ('open', 'outside', 'at-province', 'province', 'province', 'province', 2, true),
    ('open', 'outside', 'at-city', 'city', 'city', 'city', 2, true),
    ('dispatch', 'at-province', 'in-transit', 'province', 'city', 'province', 1, true),
    ('receive', 'in-transit', 'at-city', 'city', 'city', 'city', 1, false),
    ('short', 'in-transit', 'short', 'city', 'city', 'city', 1, false),
    ('arrive', 'short', 'at-city', 'city', 'city', 'province', 2, false),
    ('unsent', 'short', 'at-province', 'city', 'province', 'province', 2, false),
    ('extra', 'at-province', 'at-city', 'province', 'city', 'province', 2, false),
    ('extra', 'outside', 'at-city', 'city', 'city', 'province', 2, false),
    ('send-back', 'at-city', 'sent-back', 'city', 'city', 'city', 1, false),
    ('take-back', 'sent-back', 'at-province', 'city', 'province', 'province', 1, false),
    ('return', 'sent-back', 'at-city', 'city', 'city', 'province', 2, false),
    ('draw', 'at-city', 'drawn', 'city', 'city', 'city', 2, false),
    ('return', 'drawn', 'at-city', 'city', 'city', 'city', 1, false),
    ('print', 'drawn', 'printed', 'city', 'city', 'city', 1, false),
    ('spoil', 'drawn', 'pending-destruction', 'city', 'city', 'city', 1, false),
    ('spoil', 'printed', 'pending-destruction', 'city', 'city', 'city', 2, false),
    ('spoil', 'at-city', 'pending-destruction', 'city', 'city', 'city', 1, true),
    ('spoil', 'at-province', 'pending-destruction', 'province', 'province', 'province', 1, true),
    ('hand-over', 'printed', 'handed-over', 'city', 'city', 'city', 1, true),
    ('recall', 'handed-over', 'pending-destruction', 'city', 'city', 'city', 2, false),
    ('lose', 'at-province', 'lost', 'province', 'province', 'province', 2, true),
    ('lose', 'short', 'lost', 'city', 'province', 'province', 2, false),
    ('lose', 'sent-back', 'lost', 'city', 'city', 'province', 2, false),
    ('lose', 'at-city', 'lost', 'city', 'city', 'city', 2, true),
    ('lose', 'printed', 'lost', 'city', 'city', 'city', 2, false),
    ('lose', 'handed-over', 'lost', 'city', 'city', 'city', 2, false),
    ('lose', 'pending-destruction', 'lost', 'city', 'city', 'either', 2, true),
    ('find', 'lost', 'pending-destruction', 'city', 'city', 'either', 2, false),
    ('destroy', 'pending-destruction', 'destroyed', 'city', 'city', 'either', 3, true),
    ('adjust', 'outside', 'at-city', 'city', 'city', 'city', 2, true),
    ('adjust', 'lost', 'at-city', 'city', 'city', 'city', 2, true),
    ('adjust', 'at-city', 'lost', 'city', 'city', 'city', 2, true),
    ('adjust', 'pending-destruction', 'lost', 'city', 'city', 'either', 2, true),
    ('adjust', 'outside', 'at-province', 'province', 'province', 'province', 2, true),
    ('adjust', 'lost', 'at-province', 'province', 'province', 'province', 2, true),
    ('adjust', 'at-province', 'lost', 'province', 'province', 'province', 2, true);

-- Movements: never edited, one hash chain for each city and series. What moves between the province
-- and a city stands in the chain of the city.

create table blank_head (
    city_code text not null references city,
    series_id int not null references blank_series,
    sequence bigint not null,
    hash bytea not null,
    primary key (city_code, series_id)
);

create sequence blank_movement_id;
create table blank_movement (
    movement_id bigint primary key,
    city_code text not null references city,
    series_id int not null references blank_series,
    sequence bigint not null,
    at timestamptz not null,
    kind text not null,
    serials int8range not null check (not isempty(serials)),
    from_city text not null references city,
    from_state text not null,
    to_city text not null references city,
    to_state text not null,
    document_number text not null check (document_number ~ '\S'),
    reason text not null,
    subject text not null,
    actor text not null references account,
    second_actor text references account,
    third_actor text references account,
    counters bigint references blank_movement,
    previous bytea not null,
    hash bytea not null,
    constraint blank_movement_chain unique (city_code, series_id, sequence),
    constraint blank_movement_persons check (actor <> second_actor and actor <> third_actor
        and second_actor <> third_actor)
);
comment on table blank_movement is 'One contiguous range from an account to an account; hash = SHA-256(previous hash, the movement).';
comment on column blank_movement.subject is 'What it belongs to, as kind:id, such as print-run:7.';
create index blank_movement_serials on blank_movement
    using gist (int4range(series_id, series_id, '[]'), serials);
create index blank_movement_subject on blank_movement (subject);
create index blank_movement_time on blank_movement (city_code, series_id, at);

create function blank_bytes(moved blank_movement) returns bytea language sql stable
    return convert_to(jsonb_build_array(
        moved.movement_id, moved.city_code, moved.series_id, moved.sequence,
        extract(epoch from moved.at), moved.kind, lower(moved.serials), upper(moved.serials),
        moved.from_city, moved.from_state, moved.to_city, moved.to_state, moved.document_number,
        moved.reason, moved.subject, moved.actor, moved.second_actor, moved.third_actor,
        moved.counters
    )::text, 'UTF8');

create function blank_lock(series int, cities text[]) returns void language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    insert into blank_head select distinct city, series, 0, '\x'::bytea from unnest(cities) as city
        order by city
        on conflict do nothing;
    perform from blank_head where series_id = series and city_code = any (cities)
        order by city_code for update;
end
$$;
comment on function blank_lock is 'Whoever moves from or to the accounts of these cities waits until the transaction ends.';

create function blank_moves() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    path blank_path;
    countered blank_movement;
    held int8multirange;
    of_series constant int4range := int4range(new.series_id, new.series_id, '[]');
begin
    if new.kind = 'counter' then
        select * into countered from blank_movement where movement_id = new.counters
            and (city_code, series_id) = (new.city_code, new.series_id) and serials @> new.serials;
        select * into path from blank_path
            where (kind, from_state, to_state)
                = (countered.kind, countered.from_state, countered.to_state) and counterable;
        path.person_count := greatest(path.person_count, 2);
        new.from_city := countered.to_city;
        new.from_state := countered.to_state;
        new.to_city := countered.from_city;
        new.to_state := countered.from_state;
    else
        select * into path from blank_path
            where (kind, from_state, to_state) = (new.kind, new.from_state, new.to_state)
                and new.counters is null;
        new.from_city := case path.from_side when 'province' then '510000' else new.city_code end;
        new.to_city := case path.to_side when 'province' then '510000' else new.city_code end;
    end if;
    if path.kind is null or 1 + num_nonnulls(new.second_actor, new.third_actor) < path.person_count
    then
        raise exception 'a blank does not move like this'
            using errcode = 'integrity_constraint_violation', constraint = 'blank_moves';
    end if;
    if path.whose <> 'either' and (path.whose = 'province')
        <> (current_setting('qianfa.city', true) is not distinct from '510000') then
        raise insufficient_privilege using message = 'another''s movement';
    end if;

    perform blank_lock(new.series_id, array[new.city_code, new.from_city, new.to_city]);
    -- Only now, so that ids follow each other as what they stand for did.
    new.movement_id := nextval('blank_movement_id');
    if exists (select from blank_movement where movement_id > new.counters
            and int4range(series_id, series_id, '[]') && of_series and serials && new.serials) then
        raise exception 'they have moved since'
            using errcode = 'integrity_constraint_violation',
                constraint = 'blank_movement_counters_fkey';
    end if;

    if new.from_state <> 'outside' then
        select range_agg(serials) into held from blank_stock
            where int4range(series_id, series_id, '[]') && of_series and serials && new.serials
                and (city_code, state) = (new.from_city, new.from_state);
        if not coalesce(held @> new.serials, false) then
            raise exception 'they are not there'
                using errcode = 'integrity_constraint_violation', constraint = 'blank_moves';
        end if;
        delete from blank_stock
            where int4range(series_id, series_id, '[]') && of_series and serials && new.serials;
        insert into blank_stock select new.series_id, rest, new.from_city, new.from_state
            from unnest(held - new.serials::int8multirange) as rest;
    end if;
    if new.to_state <> 'outside' then
        select range_agg(serials) into held from blank_stock
            where int4range(series_id, series_id, '[]') && of_series and serials -|- new.serials
                and (city_code, state) = (new.to_city, new.to_state);
        if held is not null then
            delete from blank_stock
                where int4range(series_id, series_id, '[]') && of_series
                    and serials -|- new.serials
                    and (city_code, state) = (new.to_city, new.to_state);
        end if;
        insert into blank_stock values (new.series_id,
            range_merge(coalesce(held, '{}') + new.serials::int8multirange),
            new.to_city, new.to_state);
    end if;

    select head.sequence + 1, head.hash into new.sequence, new.previous from blank_head head
        where (city_code, series_id) = (new.city_code, new.series_id);
    new.at := clock_timestamp();
    new.hash := sha256(new.previous || blank_bytes(new));
    update blank_head set sequence = new.sequence, hash = new.hash
        where (city_code, series_id) = (new.city_code, new.series_id);
    return new;
end
$$;
comment on function blank_moves is 'The only way in which stock changes.';
create trigger blank_moves before insert on blank_movement
    for each row execute function blank_moves();

create function blank_fits() returns trigger language plpgsql as $$
begin
    if not exists (select from blank_series where series_id = new.series_id
            and lower(new.serials) >= 0 and upper(new.serials) <= 10::numeric ^ digit_count) then
        raise exception 'the series has no such serials'
            using errcode = 'integrity_constraint_violation', constraint = 'blank_fits';
    end if;
    return new;
end
$$;
create trigger blank_fits before insert on blank_movement
    for each row execute function blank_fits();

create function blank_whereabouts(series int, asked int8multirange)
    returns table (first_serial int8, last_serial int8, city_code text, state text)
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    with known as (
        select stock.serials * part as serials,
            case when acting_for(stock.city_code) then stock.city_code end as city_code, stock.state
        from unnest(asked) as part join blank_stock stock
            on int4range(stock.series_id, stock.series_id, '[]') && int4range(series, series, '[]')
                and stock.serials && part
    ), whole as (
        select * from known
        union all
        select rest, null, 'outside' from unnest(
            asked - coalesce((select range_agg(known.serials) from known), '{}')) as rest
    )
    select lower(serials), upper(serials) - 1, whole.city_code,
        case when whole.city_code is not null or whole.state = 'outside' then whole.state
            else 'elsewhere' end
    from whole order by 1;
end;
comment on function blank_whereabouts is 'Where serials are; of another city no more than that they are elsewhere.';

do $$
declare
    name text;
begin
    foreach name in array array['blank_series', 'blank_movement', 'blank_path'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;
    foreach name in array array['blank_stock', 'blank_movement', 'blank_head'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
revoke execute on function blank_lock, blank_whereabouts from public;
grant execute on function blank_lock, blank_whereabouts to qianfa_console;
grant select, insert on blank_series to qianfa_console;
grant select on blank_stock, blank_movement, blank_head, blank_path to qianfa_console;
grant insert (city_code, series_id, kind, serials, from_state, to_state, document_number, reason,
    subject, actor, second_actor, third_actor, counters) on blank_movement to qianfa_console;
