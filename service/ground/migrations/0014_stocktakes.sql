-- Stocktakes: blank paper counted blind, compared with the books, explained, approved and adjusted.
-- Run before the code that uses it.

set local lock_timeout = '10s';

-- What lies on the heap of spoiled sheets is settled as that.
insert into blank_path values
    ('adjust', 'at-city', 'pending-destruction', 'city', 'city', 'city', 2, true),
    ('adjust', 'at-province', 'pending-destruction', 'province', 'province', 'province', 2, true),
    ('adjust', 'lost', 'pending-destruction', 'city', 'city', 'either', 2, true),
    ('adjust', 'outside', 'pending-destruction', 'city', 'city', 'either', 2, true);

create table stocktake (
    stocktake_id bigint generated always as identity primary key,
    city_code text not null references city,
    occasion text not null check (occasion in ('quarterly', 'half-yearly', 'yearly', 'spot')),
    series_ids int[] not null check (cardinality(series_ids) > 0),
    opened_by text not null references account,
    opened_at timestamptz not null default now(),
    state text not null default 'counting'
        check (state in ('counting', 'counted', 'approved', 'cancelled')),
    closed_by text references account,
    closed_at timestamptz,
    decided_by text references account,
    decided_at timestamptz,
    remark text,
    constraint stocktake_grounded check (state <> 'cancelled' or coalesce(remark ~ '\S', false)),
    constraint stocktake_closed check ((closed_by is null) = (closed_at is null)
        and (state <> 'counting' or closed_by is null)
        and (state not in ('counted', 'approved') or closed_by is not null)),
    constraint stocktake_decided check ((decided_by is null) = (decided_at is null)
        and (decided_by is not null) = (state in ('approved', 'cancelled')))
);
comment on table stocktake is 'While it is counting or counted, nothing moves from or to what it counts.';
create index stocktake_running on stocktake (city_code) where state in ('counting', 'counted');

create table stocktake_count (
    count_id bigint generated always as identity primary key,
    stocktake_id bigint not null references stocktake,
    city_code text not null references city,
    series_id int not null references blank_series,
    is_spoiled boolean not null,
    serials int8multirange not null check (not isempty(serials)),
    counted_by text not null references account,
    counted_at timestamptz not null default now(),
    struck_by text references account,
    struck_at timestamptz,
    strike_reason text,
    constraint stocktake_count_struck check (num_nonnulls(struck_by, struck_at, strike_reason)
        in (0, 3) and strike_reason ~ '\S')
);
comment on column stocktake_count.is_spoiled is 'On the heap that waits for destruction, not among the free sheets.';
create index stocktake_count_of on stocktake_count (stocktake_id);

create table stocktake_tally (
    stocktake_id bigint not null references stocktake,
    city_code text not null references city,
    series_id int not null references blank_series,
    is_spoiled boolean not null,
    book int8multirange not null,
    counted int8multirange not null,
    primary key (stocktake_id, series_id, is_spoiled)
);
comment on table stocktake_tally is 'What the book said and what was counted as the count was closed.';

create table stocktake_difference (
    stocktake_id bigint not null references stocktake,
    difference_number int not null,
    city_code text not null references city,
    series_id int not null references blank_series,
    serials int8range not null check (not isempty(serials)),
    book_city text,
    book_state text not null,
    counted_state text,
    to_state text,
    reason text,
    reasoned_by text references account,
    reasoned_at timestamptz,
    primary key (stocktake_id, difference_number),
    constraint stocktake_difference_reasoned check (
        num_nonnulls(reason, reasoned_by, reasoned_at) in (0, 3) and reason ~ '\S')
);
comment on column stocktake_difference.to_state is 'Whither an adjustment takes it; null where the book is not adjusted and somebody has to act.';

create function stocktake_place(city_code text, is_spoiled boolean) returns text
    language sql immutable
    return case when is_spoiled then 'pending-destruction'
        when city_code = '510000' then 'at-province' else 'at-city' end;

create function stocktake_moves() returns trigger language plpgsql as $$
declare
    moving constant text[] := array['state', 'closed_by', 'closed_at', 'decided_by', 'decided_at',
        'remark'];
    moves constant text[] := array['counting counted', 'counting cancelled', 'counted approved',
        'counted cancelled'];
begin
    if tg_op = 'INSERT' and new.state <> 'counting'
        or tg_op = 'UPDATE' and (old.state || ' ' || new.state <> all (moves)
            or to_jsonb(old) - moving <> to_jsonb(new) - moving
            or old.state = 'counted'
                and (old.closed_by, old.closed_at)
                    is distinct from (new.closed_by, new.closed_at)) then
        raise exception 'a stocktake is closed once and decided once'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    return new;
end
$$;
create trigger stocktake_moves before insert or update on stocktake
    for each row execute function stocktake_moves();

create function stocktake_once() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    series int;
begin
    for series in select distinct unnest(new.series_ids) order by 1 loop
        perform blank_lock(series, array[new.city_code]);
    end loop;
    if exists (select from stocktake where state in ('counting', 'counted')
            and city_code = new.city_code and series_ids && new.series_ids) then
        raise exception 'another one counts this'
            using errcode = 'integrity_constraint_violation', constraint = 'stocktake_once';
    end if;
    return new;
end
$$;
comment on function stocktake_once is 'Waits for whoever moves what is to be counted, and for whoever begins to count it.';
create trigger stocktake_once before insert on stocktake
    for each row execute function stocktake_once();

create function stocktake_persons() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if new.decided_by in (new.opened_by, new.closed_by)
        or exists (select from stocktake_count where stocktake_id = new.stocktake_id
            and new.decided_by in (counted_by, struck_by))
        or exists (select from stocktake_difference where stocktake_id = new.stocktake_id
            and (reason is null or new.decided_by = reasoned_by)) then
        raise exception 'another person approves what was explained'
            using errcode = 'integrity_constraint_violation', constraint = 'stocktake_persons';
    end if;
    return new;
end
$$;
create trigger stocktake_persons before update on stocktake
    for each row when (new.state = 'approved') execute function stocktake_persons();

create function stocktake_compares() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    insert into stocktake_tally
    select new.stocktake_id, new.city_code, series, is_spoiled,
        coalesce((select range_agg(stock.serials) from blank_stock stock
            where (stock.city_code, stock.series_id) = (new.city_code, series)
                and stock.state = stocktake_place(new.city_code, is_spoiled)), '{}'),
        coalesce((select range_agg(part) from stocktake_count one, unnest(one.serials) as part
            where (one.stocktake_id, one.series_id) = (new.stocktake_id, series)
                and one.is_spoiled = heap.is_spoiled and struck_by is null), '{}')
    from (select distinct unnest(new.series_ids)) as every (series),
        (values (false), (true)) as heap (is_spoiled);

    insert into stocktake_difference (stocktake_id, difference_number, city_code, series_id,
        serials, book_city, book_state, counted_state, to_state)
    with tally as (
        select *, stocktake_place(city_code, is_spoiled) as place
        from stocktake_tally where stocktake_id = new.stocktake_id
    ), compared as (
        select series_id, int8range(first_serial, last_serial, '[]') as serials,
            known.city_code as book_city, state as book_state, place as counted_state
        from tally, blank_whereabouts(series_id, counted - book) as known
        union all
        select series_id, part, city_code, place, null
        from tally mine, unnest(book - coalesce((
            select range_agg(part) from tally every, unnest(every.counted) as part
            where every.series_id = mine.series_id), '{}')) as part
    )
    select new.stocktake_id, row_number() over (order by series_id, lower(piece)), new.city_code,
        series_id, piece, book_city, book_state, counted_state, (
            select path.to_state from blank_path path
            where (kind, from_state) = ('adjust', book_state)
                and path.to_state = coalesce(counted_state, 'lost')
                and coalesce(book_city, new.city_code) = new.city_code
                -- What was printed on, well or badly, never lies among the free sheets again.
                and not (was_printed and counted_state <> 'pending-destruction'))
    from compared cross join lateral (
        select coalesce(range_agg(moved.serials), '{}') as serials from blank_movement moved
        where compared.book_state = 'lost' and (moved.kind = 'print'
                or (moved.kind, moved.from_state) = ('spoil', 'drawn'))
            and moved.serials && compared.serials
            and int4range(moved.series_id, moved.series_id, '[]')
                && int4range(compared.series_id, compared.series_id, '[]')
    ) as printed cross join lateral (
        select piece, true as was_printed
        from unnest(compared.serials::int8multirange * printed.serials) as piece
        union all
        select piece, false
        from unnest(compared.serials::int8multirange - printed.serials) as piece
    ) as pieces;
    return null;
end
$$;
comment on function stocktake_compares is 'The only way in which tallies and differences come to be.';
create trigger stocktake_compares after update on stocktake
    for each row when (new.state = 'counted') execute function stocktake_compares();

create function stocktake_adjusted() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    wanted text[];
    made text[];
begin
    select array_agg(one::text order by one) into wanted
    from (select series_id, book_state, to_state, range_agg(serials) as serials
        from stocktake_difference
        where stocktake_id = new.stocktake_id and to_state is not null
        group by series_id, book_state, to_state) as one;
    select array_agg(one::text order by one) into made
    from (select series_id, from_state, to_state, range_agg(serials) as serials
        from blank_movement
        where subject = 'stocktake:' || new.stocktake_id
            and (kind, city_code) = ('adjust', new.city_code)
            and (actor, second_actor) = (new.closed_by, new.decided_by)
        group by series_id, from_state, to_state) as one;
    if wanted is distinct from made then
        raise exception 'what was approved was not adjusted'
            using errcode = 'integrity_constraint_violation', constraint = 'stocktake_adjusted';
    end if;
    return null;
end
$$;
create constraint trigger stocktake_adjusted after update on stocktake
    deferrable initially deferred for each row
    when (new.state = 'approved') execute function stocktake_adjusted();

create function stocktake_takes() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    of_count constant boolean := tg_table_name = 'stocktake_count';
    changing constant text[] := array['struck_by', 'struck_at', 'strike_reason', 'reason',
        'reasoned_by', 'reasoned_at'];
begin
    perform from stocktake
    where (stocktake_id, city_code) = (new.stocktake_id, new.city_code)
        and state = case when of_count then 'counting' else 'counted' end
        and new.series_id = any (series_ids)
    for share;  -- whoever closes or decides it waits, or has done so
    if not found or tg_op = 'UPDATE' and to_jsonb(old) - changing <> to_jsonb(new) - changing
        or of_count and to_jsonb(old) ->> 'struck_by' is not null
        or of_count and tg_op = 'INSERT' and to_jsonb(new) ->> 'struck_by' is not null then
        raise exception 'it takes no more of this'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    return new;
end
$$;
create trigger stocktake_takes before insert or update on stocktake_count
    for each row execute function stocktake_takes();
create trigger stocktake_takes before insert or update on stocktake_difference
    for each row execute function stocktake_takes();

create function stocktake_open() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if exists (select from stocktake where state in ('counting', 'counted')
            and new.series_id = any (series_ids)
            and ((city_code = new.from_city
                    and new.from_state in ('at-province', 'at-city', 'pending-destruction'))
                or (city_code = new.to_city
                    and new.to_state in ('at-province', 'at-city', 'pending-destruction')))) then
        raise exception 'it is being counted'
            using errcode = 'integrity_constraint_violation', constraint = 'stocktake_open';
    end if;
    return new;
end
$$;
comment on function stocktake_open is 'Runs after blank_moves, by its name: by then the movement holds the locks that a new stocktake waits for.';
create trigger stocktake_open before insert on blank_movement
    for each row execute function stocktake_open();

do $$
declare
    name text;
begin
    foreach name in array array['stocktake', 'stocktake_count', 'stocktake_tally',
            'stocktake_difference'] loop
        execute format('create trigger never_deleted before delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
create trigger append_only before update on stocktake_tally
    for each row execute function refuse_change();
grant select on stocktake, stocktake_count, stocktake_tally, stocktake_difference to qianfa_console;
grant insert (city_code, occasion, series_ids, opened_by) on stocktake to qianfa_console;
grant update (state, closed_by, closed_at, decided_by, decided_at, remark)
    on stocktake to qianfa_console;
grant insert (stocktake_id, city_code, series_id, is_spoiled, serials, counted_by)
    on stocktake_count to qianfa_console;
grant update (struck_by, struck_at, strike_reason) on stocktake_count to qianfa_console;
grant update (reason, reasoned_by, reasoned_at) on stocktake_difference to qianfa_console;
