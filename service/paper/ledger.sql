-- head(holder, series_id, beginning, ending, day) -> _Head?
-- Opening by the movements before, closing by the stock of now less the movements after.
select city_name, centre_name, coalesce(opening, 0)::int8 as opening,
    (stocked - coalesce(since, 0))::int8 as closing, coalesce(last_movement, 0) as last_movement
from centre_on(:day),
    (select sum(received - issued - spoiled) filter (where at < :beginning) as opening,
        sum(received - issued - spoiled) filter (where at >= :ending) as since,
        max(movement_id) as last_movement
    from blank_entry
    where holder = :holder and (:holder = '510000' or city_code = :holder)
        and series_id = :series_id) entries,
    (select coalesce(sum(upper(serials) - lower(serials)), 0) as stocked from blank_stock
    where city_code = :holder and series_id = :series_id
        and state in ('at-province', 'at-city', 'drawn')) stock
where centre_on.city_code = :holder;

-- page(holder, series_id, after_at, after, ending, last_movement, count) -> [_Entry]
-- Movements in the order of their time, a page after another, with their places in their chains.
with page as (
    select * from blank_entry
    where holder = :holder and (:holder = '510000' or city_code = :holder)
        and series_id = :series_id and (at, movement_id) > (:after_at, :after) and at < :ending
        and movement_id <= :last_movement
    order by at, movement_id limit :count
)
select page.movement_id, moved.sequence, page.at, page.kind, lower(page.serials) as first_serial,
    upper(page.serials) - 1 as last_serial, page.city_code, page.from_state, page.to_state,
    page.document_number, page.reason, moved.subject, page.actor, page.second_actor,
    page.third_actor, countered.sequence as countered, sheet_count, received, issued, spoiled
from page join blank_movement moved using (movement_id)
    left join blank_movement countered on countered.movement_id = page.counters
order by page.at, page.movement_id limit :count;

-- names(day) -> [City]
-- What the cities are called.
select city_code, city_name from centre_on(:day) order by city_code limit 1000;

-- summary(beginning, ending, day) -> [SummaryLine]
-- Every holder and series that the actor may see and that ever held any.
with entries as (
    select holder, series_id,
        coalesce(sum(received - issued - spoiled) filter (where at < :beginning), 0) as opening,
        coalesce(sum(received) filter (where at >= :beginning), 0) as received,
        coalesce(sum(issued) filter (where at >= :beginning), 0) as issued,
        coalesce(sum(spoiled) filter (where at >= :beginning), 0) as spoiled
    from blank_entry
    where acting_for(holder) and at < :ending
    group by holder, series_id
), standing as (
    select leg.city_code, series_id,
        coalesce(sum(sheets) filter (where state in ('in-transit', 'sent-back')), 0) as in_transit,
        coalesce(sum(sheets) filter (where state = 'printed'), 0) as printed,
        coalesce(sum(sheets) filter (where state = 'handed-over'), 0) as handed_over,
        coalesce(sum(sheets) filter (where state = 'pending-destruction'), 0)
            as pending_destruction,
        coalesce(sum(sheets) filter (where state = 'destroyed'), 0) as destroyed,
        coalesce(sum(sheets) filter (where state = 'lost'), 0) as lost,
        coalesce(sum(sheets) filter (where state = 'short'), 0) as difference
    from blank_movement cross join lateral (values
        (to_city, to_state, upper(serials) - lower(serials)),
        (from_city, from_state, lower(serials) - upper(serials))) leg (city_code, state, sheets)
    where at < :ending
    group by leg.city_code, series_id
)
select city_name, series_code as series, opening::int8, received::int8, issued::int8,
    spoiled::int8, (opening + received - issued - spoiled)::int8 as closing, in_transit::int8,
    printed::int8, handed_over::int8, pending_destruction::int8, destroyed::int8, lost::int8,
    difference::int8
from entries join standing on (standing.city_code, standing.series_id) = (holder, entries.series_id)
    join blank_series on blank_series.series_id = entries.series_id
    join centre_on(:day) centre on centre.city_code = holder
order by holder, entries.series_id limit 10000;
