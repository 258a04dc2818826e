-- record_scheme(scheme_version, valid_from, reset, segments, document_number) -> str?
-- Schemes are the province's.
insert into number_scheme (scheme_version, valid_from, reset, segments, document_number)
values (:scheme_version, :valid_from, :reset, :segments::jsonb, :document_number)
on conflict do nothing
returning '510000';

-- open_body(city_code, body_serial, document_number) -> str?
-- Used once the serials before it have run out.
insert into number_body (city_code, body_serial, document_number)
values (:city_code, :body_serial, :document_number)
on conflict do nothing
returning city_code;

-- start_counter(city_code, scheme_version, period, body_serial, first_sequence, document_number) -> str?
-- Only before its first number is taken: a later start would leave a gap.
insert into number_counter (city_code, scheme_version, period, body_serial, first_sequence,
    last_sequence, document_number)
values (:city_code, :scheme_version, :period, :body_serial, :first_sequence,
    :first_sequence - 1, :document_number)
on conflict (scheme_version, city_code, period, body_serial) do update
    set first_sequence = excluded.first_sequence, last_sequence = excluded.last_sequence,
        document_number = excluded.document_number
    where number_counter.last_sequence = number_counter.first_sequence - 1
returning city_code;

-- scheme_on(day) -> Scheme?
-- The scheme for numbers taken on a day.
select scheme_version, valid_from, reset, segments, document_number from number_scheme
where valid_from <= :day
order by valid_from desc limit 1;

-- number_digits(city_code, day) -> str
-- The city's digits inside a number.
select number_digits from centre_on(:day) where city_code = :city_code;

-- make_counters(scheme_version, city_code, period) -> none
-- One counter for every open body serial.
insert into number_counter (scheme_version, city_code, period, body_serial, first_sequence,
    last_sequence)
select :scheme_version, city_code, :period, body_serial, 1, 0
from number_body where city_code = :city_code
order by body_serial
on conflict do nothing;

-- lock_counters(scheme_version, city_code, period) -> [Counter]
-- In one order, so that two approvals of a city queue and never deadlock.
select body_serial, last_sequence from number_counter
where scheme_version = :scheme_version and city_code = :city_code and period = :period
order by body_serial
for update;

-- raise_counter(scheme_version, city_code, period, body_serial, last_sequence) -> none
-- The trigger counter_only_rises refuses anything else.
update number_counter set last_sequence = :last_sequence
where scheme_version = :scheme_version and city_code = :city_code and period = :period
    and body_serial = :body_serial;

-- schemes() -> [Scheme]
-- Every version.
select scheme_version, valid_from, reset, segments, document_number from number_scheme
order by scheme_version limit 1000;

-- digits_of_cities() -> [Digits]
-- What has ever stood for a city.
select distinct city_code, number_digits from centre limit 10000;

-- open_bodies(city_code) -> [int]
-- Whatever their order.
select body_serial from number_body where city_code = :city_code limit 10000;

-- start_behind(city_code, scheme_version, period, body_serial, last_sequence, document_number) -> none
-- A counter that is not used yet starts there, a used one rises; one that is further stays.
insert into number_counter (city_code, scheme_version, period, body_serial, first_sequence,
    last_sequence, document_number)
values (:city_code, :scheme_version, :period, :body_serial, :last_sequence::int + 1,
    :last_sequence::int, :document_number)
on conflict (scheme_version, city_code, period, body_serial) do update
    set last_sequence = excluded.last_sequence,
        first_sequence = case when number_counter.last_sequence < number_counter.first_sequence
            then excluded.first_sequence else number_counter.first_sequence end,
        document_number = case when number_counter.last_sequence < number_counter.first_sequence
            then excluded.document_number else number_counter.document_number end
    where number_counter.last_sequence < excluded.last_sequence;
