-- Requisitions of blank paper by archived passes, and its supply: consignments between the province
-- and a city, what was found missing, damaged or too many, and how that was settled.
-- Run before the code that uses it.

set local lock_timeout = '10s';

-- What a city has sent back only on paper, it takes back itself.
insert into blank_path values
    ('unsent', 'sent-back', 'at-city', 'city', 'city', 'city', 2, false);

create table requisition (
    requisition_id bigint generated always as identity primary key,
    city_code text not null references city,
    kind text not null check (kind in ('inner', 'cover')),
    archived_from date not null,
    archived_until date not null,
    pass_count bigint not null,
    stock_count bigint not null,
    extra_count int not null,
    extra_reason text not null,
    extra_granted int,
    state text not null default 'draft' check (state in ('draft', 'submitted', 'returned',
        'withdrawn', 'approved', 'dispatched', 'received', 'closed')),
    reason text,
    made_by text not null references account,
    made_at timestamptz not null default now(),
    submitted_by text references account,
    submitted_at timestamptz,
    decided_by text references account,
    decided_at timestamptz,
    ended_by text references account,
    ended_at timestamptz,
    constraint requisition_of_city check (city_code <> '510000'),
    constraint requisition_order check (archived_from <= archived_until),
    constraint requisition_empty check (pass_count + extra_count > 0),
    constraint requisition_extra check (
        extra_count >= 0 and (extra_count = 0 or extra_reason ~ '\S')),
    constraint requisition_granted check (
        extra_granted between 0 and extra_count and pass_count + extra_granted > 0),
    constraint requisition_two_persons check (
        made_by <> submitted_by and made_by <> decided_by and submitted_by <> decided_by),
    constraint requisition_whole check (
        (state in ('draft', 'withdrawn') or submitted_by is not null)
        and (state in ('draft', 'submitted', 'withdrawn') or decided_by is not null)
        and (state in ('approved', 'dispatched', 'received', 'closed')) = (extra_granted is not null)
        and (state in ('withdrawn', 'closed')) = (ended_by is not null)
        and (state not in ('returned', 'withdrawn') or reason ~ '\S'))
);
comment on table requisition is '证书申领表. Counts are written by the trigger requisition_moves; approved = pass_count + extra_granted.';
comment on column requisition.reason is 'Why it was returned, withdrawn, or closed with less than was approved.';

create table requisition_pass (
    requisition_id bigint not null references requisition deferrable initially deferred,
    batch_id bigint not null references batch,
    project_name text not null,
    city_code text not null references city,
    kind text not null,
    pass_count bigint not null check (pass_count > 0),
    live boolean not null default true,
    primary key (requisition_id, batch_id, project_name)
);
comment on table requisition_pass is 'The archived passes that a requisition covers; kept by the trigger requisition_moves alone.';
create unique index requisition_pass_once on requisition_pass (batch_id, project_name, kind)
    where live;

-- Consignments. A requisition follows them: it is dispatched while one is on the road, received when
-- none is any more, approved while there is none.

create table consignment (
    consignment_id bigint generated always as identity primary key,
    city_code text not null references city,
    direction text not null check (direction in ('supply', 'back')),
    series_id int not null references blank_series,
    requisition_id bigint references requisition,
    sheet_count bigint not null check (sheet_count > 0),
    document_number text not null check (document_number ~ '\S'),
    reason text not null,
    state text not null default 'dispatched' check (state in ('dispatched', 'received', 'undone')),
    dispatched_by text not null references account,
    dispatched_at timestamptz not null default now(),
    undo_asked_by text references account,
    undo_reason text check (undo_reason ~ '\S'),
    ended_by text references account,
    ended_at timestamptz,
    counted bigint,
    constraint consignment_of_city check (city_code <> '510000'),
    constraint consignment_grounded check (requisition_id is not null or reason ~ '\S'),
    constraint consignment_of_requisition check (requisition_id is null or direction = 'supply'),
    constraint consignment_two_persons check (state <> 'undone' or undo_asked_by <> ended_by),
    constraint consignment_whole check (
        (state = 'dispatched') = (ended_by is null) and (state = 'dispatched') = (ended_at is null)
        and (state = 'received') = (counted is not null)
        and (undo_asked_by is null) = (undo_reason is null)
        and (state <> 'undone' or undo_asked_by is not null))
);
comment on table consignment is 'Sheets of a series on the road to a city, or back; which ones, the movements of consignment:<id> tell.';
create index consignment_requisition on consignment (requisition_id);

create table difference (
    difference_id bigint generated always as identity primary key,
    consignment_id bigint not null references consignment,
    city_code text not null references city,
    series_id int not null references blank_series,
    kind text not null check (kind in ('short', 'damaged', 'extra')),
    serials int8range not null check (not isempty(serials)),
    recorded_by text not null references account,
    recorded_at timestamptz not null
);
comment on table difference is 'What whoever received a consignment found missing, damaged or too many.';
create index difference_consignment on difference (consignment_id);

create table settlement (
    settlement_id bigint generated always as identity primary key,
    difference_id bigint not null references difference,
    city_code text not null references city,
    serials int8range not null check (not isempty(serials)),
    settled_as text not null,
    document_number text not null check (document_number ~ '\S'),
    reason text not null check (reason ~ '\S'),
    recorded_by text not null references account,
    settled_by text not null references account,
    settled_at timestamptz not null default now(),
    constraint settlement_once exclude using gist (
        int8range(difference_id, difference_id, '[]') with &&, serials with &&),
    constraint settlement_two_persons check (recorded_by <> settled_by)
);
comment on table settlement is 'What became of a difference, whole or in parts.';
create index settlement_difference on settlement (difference_id);

create view difference_open with (security_invoker = true) as
    select difference_id, consignment_id, city_code, series_id, kind, rest as serials, recorded_by,
        recorded_at
    from difference, unnest(int8multirange(serials) - coalesce((
        select range_agg(settlement.serials) from settlement
        where settlement.difference_id = difference.difference_id), '{}')) as rest;
comment on view difference_open is 'What of the differences nobody has settled.';
grant select on difference_open to qianfa_console;

create function requisition_supply(asked bigint, out state text, out sheet_count bigint)
    language sql stable
begin atomic
    select case when bool_or(consignment.state = 'dispatched') then 'dispatched'
            when bool_or(consignment.state = 'received') then 'received' else 'approved' end,
        (coalesce(sum(consignment.sheet_count) filter (where consignment.state <> 'undone'), 0)
            + coalesce((
                select sum((upper(settlement.serials) - lower(settlement.serials))
                    * case settled_as when 'kept' then 1 else -1 end)
                from settlement join difference using (difference_id)
                    join consignment of_it using (consignment_id)
                where of_it.requisition_id = asked
                    and settled_as in ('unsent', 'lost', 'kept')), 0))::bigint
    from consignment where requisition_id = asked;
end;
comment on function requisition_supply is 'Where the consignments of a requisition take it, and how many sheets they brought or bring.';

create function is_city(city_code text) returns boolean language sql stable
    return current_setting('qianfa.city', true) is not distinct from city_code;

create function requisition_moves() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    moves constant text[] := array['new draft', 'draft draft', 'returned draft', 'draft submitted',
        'returned submitted', 'submitted approved', 'submitted returned', 'draft withdrawn',
        'returned withdrawn', 'approved closed', 'received closed'];
    change text := 'new ' || new.state;
    changing text[];
begin
    if tg_op = 'UPDATE' then
        change := old.state || ' ' || new.state;
        changing := '{state}'::text[] || case new.state
            when 'draft' then '{archived_from, archived_until, extra_count, extra_reason, made_by,
                made_at, submitted_by, submitted_at}'::text[]
            when 'submitted' then '{submitted_by, submitted_at, decided_by, decided_at, reason}'
            when 'returned' then '{decided_by, decided_at, reason}'
            when 'approved' then
                case old.state when 'submitted' then '{decided_by, decided_at, extra_granted,
                    reason}'::text[] end
            when 'withdrawn' then '{ended_by, ended_at, reason}'
            when 'closed' then '{ended_by, ended_at, reason}'
        end;
    end if;
    if not (change = any (moves) or old.extra_granted is not null and old.state <> 'closed'
            and new.state = (select supply.state from requisition_supply(new.requisition_id) supply))
        or to_jsonb(old) - changing <> to_jsonb(new) - changing then
        raise exception 'a requisition does not move like this'
            using errcode = 'integrity_constraint_violation', constraint = 'requisition_moves';
    end if;
    if new.state in ('draft', 'submitted', 'withdrawn', 'closed') and not is_city(new.city_code)
        or new.state in ('approved', 'returned') and old.state = 'submitted'
            and not is_city('510000') then
        raise insufficient_privilege using message = 'another''s requisition';
    end if;

    if new.state = 'draft' then
        delete from requisition_pass where requisition_id = new.requisition_id;
        insert into requisition_pass
            select new.requisition_id, batch_id, project_name, new.city_code, new.kind, count(*)
            from batch join certificate using (batch_id)
            where batch.city_code = new.city_code and batch.state = 'approved'
                and batch.archived_on between new.archived_from and new.archived_until
                and version = 1 and certificate.state <> 'void'
                and not exists (select from requisition_pass other
                    where (other.batch_id, other.kind, other.live) = (batch.batch_id, new.kind, true))
            group by batch_id, project_name order by batch_id, project_name;
        select coalesce(sum(pass_count), 0) into new.pass_count
            from requisition_pass where requisition_id = new.requisition_id;
        select coalesce(sum(upper(serials) - lower(serials)), 0) into new.stock_count
            from blank_stock join blank_series using (series_id)
            where (city_code, state, kind) = (new.city_code, 'at-city', new.kind);
    elsif new.state = 'withdrawn' then
        update requisition_pass set live = false where requisition_id = new.requisition_id;
    end if;
    return new;
end
$$;
comment on function requisition_moves is 'Counts the passes, each once for each kind of paper, and lets go of them at a withdrawal.';
create trigger requisition_moves before insert or update on requisition
    for each row execute function requisition_moves();

create function requisition_counts() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if exists (select from requisition_pass counted where requisition_id = new.requisition_id
            and pass_count <> (select count(*) from certificate
                where (batch_id, project_name, version)
                    = (counted.batch_id, counted.project_name, 1) and state <> 'void')) then
        raise exception 'a number has become void since they were counted'
            using errcode = 'integrity_constraint_violation', constraint = 'requisition_counts';
    end if;
    return new;
end
$$;
create trigger requisition_counts before update on requisition
    for each row when (new.state in ('submitted', 'approved')
        and old.state in ('draft', 'returned', 'submitted')) execute function requisition_counts();

create function requisition_closes() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    supply record;
begin
    select * into supply from requisition_supply(new.requisition_id);
    if supply.state = 'dispatched'
        or exists (select from difference_open join consignment using (consignment_id)
            where requisition_id = new.requisition_id)
        or supply.sheet_count < old.pass_count + old.extra_granted
            and coalesce(new.reason, '') !~ '\S' then
        raise exception 'it is not all there, and nobody said why'
            using errcode = 'integrity_constraint_violation', constraint = 'requisition_closes';
    end if;
    return new;
end
$$;
create trigger requisition_closes before update on requisition
    for each row when (new.state = 'closed' and old.state <> 'closed')
    execute function requisition_closes();

create function consignment_moves() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    whose constant text := case when (new.direction = 'supply') = (new.state = 'received')
        then new.city_code else '510000' end;
    changing constant text[] := case new.state
        when 'dispatched' then '{undo_asked_by, undo_reason}'::text[]
        when 'undone' then '{state, ended_by, ended_at}'
        else '{state, ended_by, ended_at, counted}' end;
    asked requisition;
begin
    if not is_city(whose) then
        raise insufficient_privilege using message = 'another''s consignment';
    end if;
    if tg_op = 'UPDATE' then
        if old.state <> 'dispatched'
            or old.undo_asked_by is not null and new.undo_asked_by <> old.undo_asked_by
            or to_jsonb(old) - changing <> to_jsonb(new) - changing then
            raise exception 'a consignment does not move like this'
                using errcode = 'integrity_constraint_violation', constraint = 'consignment_moves';
        end if;
        return new;
    end if;
    select requisition.* into asked
        from requisition join blank_series using (kind)
        where (requisition_id, city_code, series_id)
            = (new.requisition_id, new.city_code, new.series_id)
            and state in ('approved', 'dispatched', 'received')
        for update of requisition;
    if new.state <> 'dispatched' or new.undo_asked_by is not null
        or new.requisition_id is not null and (asked.requisition_id is null
            or (select sheet_count from requisition_supply(new.requisition_id)) + new.sheet_count
                > asked.pass_count + asked.extra_granted) then
        raise exception 'nobody approved this consignment'
            using errcode = 'integrity_constraint_violation', constraint = 'consignment_moves';
    end if;
    return new;
end
$$;
create trigger consignment_moves before insert or update on consignment
    for each row execute function consignment_moves();

create function requisition_follows() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    -- Whoever ends another of its consignments now is waited for, and seen below.
    perform from requisition where requisition_id = new.requisition_id for update;
    update requisition set state = supply.state from requisition_supply(new.requisition_id) supply
        where requisition_id = new.requisition_id and requisition.state <> supply.state;
    return null;
end
$$;
create trigger requisition_follows after insert or update on consignment
    for each row when (new.requisition_id is not null) execute function requisition_follows();

create function sheets_of(serials int8multirange) returns bigint language sql immutable
    return (select coalesce(sum(upper(part) - lower(part)), 0) from unnest(serials) as part);

create function consignment_agrees() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    sent int8multirange;
    came int8multirange;
    undone int8multirange;
    missing int8multirange;
    short int8multirange;
    extra int8multirange;
begin
    select coalesce(range_agg(serials) filter (
            where kind in ('dispatch', 'send-back') and actor = new.dispatched_by), '{}'),
        coalesce(range_agg(serials) filter (
            where kind in ('receive', 'take-back') and actor = new.ended_by), '{}'),
        coalesce(range_agg(serials) filter (where kind in ('counter', 'unsent')
            and (actor, second_actor) = (new.ended_by, new.undo_asked_by)), '{}'),
        coalesce(range_agg(serials) filter (where kind = 'short'), '{}')
        into sent, came, undone, missing
        from blank_movement where subject = 'consignment:' || new.consignment_id
            and (city_code, series_id) = (new.city_code, new.series_id);
    select coalesce(range_agg(serials) filter (where kind = 'short'), '{}'),
        coalesce(range_agg(serials) filter (where kind = 'extra'), '{}')
        into short, extra
        from difference where consignment_id = new.consignment_id;
    if sheets_of(sent) <> new.sheet_count
        or new.state = 'undone' and undone <> sent
        or new.state = 'received' and (sent - came <> short or came - sent <> '{}'
            or new.direction = 'supply' and missing <> short
            or new.counted <> sheets_of(came) + sheets_of(extra)) then
        raise exception 'the movements tell something else'
            using errcode = 'integrity_constraint_violation', constraint = 'consignment_agrees';
    end if;
    return null;
end
$$;
comment on function consignment_agrees is 'What is said of a consignment is what its movements and differences say, or nothing is kept.';
create constraint trigger consignment_agrees after insert or update on consignment
    deferrable initially deferred for each row execute function consignment_agrees();

create function difference_fits() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    select city_code, series_id, ended_by, ended_at
        into new.city_code, new.series_id, new.recorded_by, new.recorded_at
        from consignment where consignment_id = new.consignment_id and state = 'received'
            and ended_at = now()
            and is_city(case direction when 'supply' then city_code else '510000' end);
    if new.recorded_by is null then
        raise exception 'nobody receives this consignment now'
            using errcode = 'integrity_constraint_violation', constraint = 'difference_fits';
    end if;
    return new;
end
$$;
create trigger difference_fits before insert on difference
    for each row execute function difference_fits();

create function settlement_fits() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    settled record;
begin
    select difference.city_code, direction, kind, serials, recorded_by into settled
        from difference join consignment using (consignment_id)
        where difference_id = new.difference_id;
    new.city_code := settled.city_code;
    new.recorded_by := settled.recorded_by;
    if not is_city('510000') then
        raise insufficient_privilege using message = 'the province''s to settle';
    end if;
    if not coalesce(new.serials <@ settled.serials and concat_ws(' ', settled.direction,
            settled.kind, new.settled_as) in ('supply short arrived', 'supply short unsent',
            'supply short lost', 'supply damaged acknowledged', 'supply extra kept',
            'supply extra returned', 'back short arrived', 'back short returned',
            'back short lost', 'back damaged acknowledged', 'back extra returned'), false) then
        raise exception 'a difference is not settled like this'
            using errcode = 'integrity_constraint_violation', constraint = 'settlement_fits';
    end if;
    return new;
end
$$;
create trigger settlement_fits before insert on settlement
    for each row execute function settlement_fits();

create function settlement_moved() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if not exists (select from difference join consignment using (consignment_id)
        where difference_id = new.difference_id and case new.settled_as
            when 'acknowledged' then true
            when 'returned' then difference.kind = 'extra' end) and not coalesce(new.serials <@ (
        select range_agg(moved.serials)
        from difference join consignment using (consignment_id) join blank_movement moved
            on subject = 'consignment:' || consignment_id and moved.series_id = difference.series_id
        where difference_id = new.difference_id
            and moved.kind = case new.settled_as when 'arrived' then
                    case direction when 'supply' then 'arrive' else 'take-back' end
                when 'unsent' then 'unsent' when 'lost' then 'lose' when 'kept' then 'extra'
                when 'returned' then 'return' end
            and (actor, second_actor, moved.document_number)
                = (new.settled_by, new.recorded_by, new.document_number)), false) then
        raise exception 'what was settled has not moved'
            using errcode = 'integrity_constraint_violation', constraint = 'settlement_moved';
    end if;
    return null;
end
$$;
comment on function settlement_moved is 'No difference is settled but by its movements, made by whoever settled and whoever recorded it.';
create constraint trigger settlement_moved after insert on settlement
    deferrable initially deferred for each row execute function settlement_moved();

do $$
declare
    name text;
begin
    foreach name in array array['requisition', 'consignment'] loop
        execute format('create trigger never_deleted before delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    foreach name in array array['difference', 'settlement'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    foreach name in array array['requisition', 'requisition_pass', 'consignment', 'difference',
            'settlement'] loop
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
grant select on requisition, requisition_pass, consignment, difference, settlement
    to qianfa_console;
grant insert (city_code, kind, archived_from, archived_until, extra_count, extra_reason, made_by)
    on requisition to qianfa_console;
grant update (archived_from, archived_until, extra_count, extra_reason, extra_granted, state, reason,
    made_by, made_at, submitted_by, submitted_at, decided_by, decided_at, ended_by, ended_at)
    on requisition to qianfa_console;
grant insert (city_code, direction, series_id, requisition_id, sheet_count, document_number, reason,
    dispatched_by) on consignment to qianfa_console;
grant update (state, undo_asked_by, undo_reason, ended_by, ended_at, counted) on consignment
    to qianfa_console;
grant insert (consignment_id, kind, serials) on difference to qianfa_console;
grant insert (difference_id, serials, settled_as, document_number, reason, settled_by)
    on settlement to qianfa_console;
