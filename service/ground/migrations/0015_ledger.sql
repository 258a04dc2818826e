-- The ledger, what every movement adds to the unused blanks of whom and takes away; and tracing.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create view blank_entry with (security_invoker = true) as
    select movement_id, city_code, series_id, at, kind, serials, from_city, from_state, to_city,
        to_state, document_number, reason, actor, second_actor, third_actor, counters, holder,
        sheet_count,
        case when is_held and not was_held then signed else 0 end as received,
        case when was_held and not is_held and not is_spoiled then signed else 0 end as issued,
        case when was_held and not is_held and is_spoiled then signed else 0 end as spoiled
    from (
        select *, upper(serials) - lower(serials) as sheet_count,
            (upper(serials) - lower(serials)) * case kind when 'counter' then -1 else 1 end as signed,
            case kind when 'counter' then to_city else from_city end as source,
            case kind when 'counter' then to_state else from_state end as beginning,
            case kind when 'counter' then from_city else to_city end as destination,
            case kind when 'counter' then from_state else to_state end as ending
        from blank_movement
    ) movement
    cross join unnest(case when from_city = to_city then array[to_city]
        else array[from_city, to_city] end) as holder
    cross join lateral (select
        source = holder and beginning in ('at-province', 'at-city', 'drawn') as was_held,
        destination = holder and ending in ('at-province', 'at-city', 'drawn') as is_held,
        ending = 'pending-destruction' as is_spoiled) as held;
comment on view blank_entry is 'A movement in the ledger of each whose account it touches. Held are unused blanks: at the province, at a city, drawn. Counter-movements stand where the countered one did, with a minus (红字冲销).';
grant select on blank_entry to qianfa_console;

-- Tracing: what a serial, a number or a person is found by.

create function blank_history(series int, asked int8multirange) returns setof blank_movement
    language sql stable security definer set search_path = public, pg_temp
begin atomic
    select * from blank_movement moved
    where int4range(moved.series_id, moved.series_id, '[]') && int4range(series, series, '[]')
        and moved.serials && asked and acting_for(moved.city_code);
end;
comment on function blank_history is 'The movements of any of these serials that the actor may see; under row-level security no index of ranges is used.';
revoke execute on function blank_history from public;
grant execute on function blank_history to qianfa_console;

-- A plan for any ranges at all reads all of the stock, or of the movements.
alter function blank_whereabouts set plan_cache_mode = force_custom_plan;
alter function blank_history set plan_cache_mode = force_custom_plan;

create index sheet_of_serial on sheet (series_id, serial);
create index sheet_of_number on sheet (number);
create index paper_change_of_paper on paper_change (paper_id);
create index change_of_number on change (number);
