-- Orders: movements of blank paper that one person asks for and others make.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table blank_order (
    order_id bigint generated always as identity primary key,
    city_code text not null references city,
    series_id int not null references blank_series,
    kind text not null check (kind in ('open', 'lose', 'find', 'counter', 'destroy')),
    from_state text not null,
    to_state text not null,
    serials int8multirange not null check (not isempty(serials)),
    document_number text not null,
    reason text not null,
    counters bigint references blank_movement,
    person_count int not null check (person_count in (2, 3)),
    asked_by text not null references account,
    asked_at timestamptz not null default now(),
    state text not null default 'asked' check (state in ('asked', 'done', 'declined')),
    witnessed_by text references account,
    witnessed_at timestamptz,
    decided_by text references account,
    decided_at timestamptz,
    decline_reason text,
    constraint blank_order_grounded check (
        reason ~ '\S' and document_number ~ '\S' and decline_reason ~ '\S'),
    constraint blank_order_persons check (witnessed_by <> asked_by
        and (state <> 'done' or decided_by <> asked_by)
        and (state <> 'done' or decided_by is distinct from witnessed_by)),
    constraint blank_order_decided check (
        (state = 'asked') = (decided_by is null) and (state = 'asked') = (decided_at is null)
        and (witnessed_by is null) = (witnessed_at is null)
        and (witnessed_by is null or person_count = 3)
        and (state <> 'done' or (witnessed_by is not null) = (person_count = 3))
        and (state = 'declined') = (decline_reason is not null)
        and (kind = 'counter') = (counters is not null))
);
comment on table blank_order is 'Asked by one person with a document, signed by one or two others; it reserves nothing while it waits.';
create index blank_order_waiting on blank_order (order_id) where state = 'asked';

create function blank_order_decides() returns trigger language plpgsql as $$
declare
    deciding constant text[] := array['state', 'witnessed_by', 'witnessed_at', 'decided_by',
        'decided_at', 'decline_reason'];
begin
    if tg_op = 'INSERT' and (new.state <> 'asked' or new.witnessed_by is not null)
        or tg_op = 'UPDATE' and (old.state <> 'asked'
            or to_jsonb(old) - deciding <> to_jsonb(new) - deciding
            or old.witnessed_by is not null
                and (old.witnessed_by, old.witnessed_at)
                    is distinct from (new.witnessed_by, new.witnessed_at))
    then
        raise exception 'an order is signed and decided once'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    return new;
end
$$;
create trigger blank_order_decides before insert or update on blank_order
    for each row execute function blank_order_decides();

create function blank_order_moved() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if new.serials is distinct from (
        select range_agg(serials) from blank_movement
        where subject = 'blank-order:' || new.order_id
            and (city_code, series_id, kind) = (new.city_code, new.series_id, new.kind)
            and (from_state, to_state, actor) = (new.from_state, new.to_state, new.asked_by)
            and counters is not distinct from new.counters
            and array_remove(array[second_actor, third_actor], null)
                = array_remove(array[new.witnessed_by, new.decided_by], null))
    then
        raise exception 'what was ordered has not moved'
            using errcode = 'integrity_constraint_violation', constraint = 'blank_order_moved';
    end if;
    return null;
end
$$;
comment on function blank_order_moved is 'No order is done but by its movements, made by those who signed it.';
create constraint trigger blank_order_moved after update on blank_order
    deferrable initially deferred for each row
    when (new.state = 'done') execute function blank_order_moved();

-- Who stands behind a movement, whichever room makes it. Whether an account was ended since is not
-- asked: whoever asked, counted or received may have left before another person signs.

create function blank_persons() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    is_theirs boolean;
begin
    select count(*) filter (where city_code = current_setting('qianfa.city', true)) > 0
            and bool_and(city_code in (new.city_code, '510000'))
            and (count(*) filter (where role in ('keeper', 'province')) > 0
                or new.from_state in ('drawn', 'printed', 'handed-over'))
        into is_theirs
        from account where account_name in (new.actor, new.second_actor, new.third_actor);
    if not is_theirs then
        raise insufficient_privilege using message = 'not theirs to sign';
    end if;
    return new;
end
$$;
comment on function blank_persons is 'All are of the city concerned or of the province, one is of the centre that acts, and nothing but what was drawn to be printed moves without a keeper.';
create trigger blank_persons before insert on blank_movement
    for each row execute function blank_persons();

create trigger never_deleted before delete on blank_order
    for each row execute function refuse_change();
create trigger append_only_whole before truncate on blank_order
    for each statement execute function refuse_change();

alter table blank_order enable row level security;
create policy own_city on blank_order to qianfa_console
    using (acting_for(city_code)) with check (acting_for(city_code));
grant select on blank_order to qianfa_console;
grant insert (city_code, series_id, kind, from_state, to_state, serials, document_number, reason,
    counters, person_count, asked_by) on blank_order to qianfa_console;
grant update (state, witnessed_by, witnessed_at, decided_by, decided_at, decline_reason)
    on blank_order to qianfa_console;
