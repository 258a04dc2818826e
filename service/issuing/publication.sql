-- next(refresh_seconds) -> Due?
-- A list that lacks a change, grows old or is of a time to come, as a clock was wrong; one that another worker holds is skipped.
select list_number, wanted, places_sha256, date_trunc('second', now()) as issued_at
from status_list
where signed < wanted
    or issued_at not between now() - make_interval(secs => :refresh_seconds) and now()
order by signed < wanted desc, issued_at
limit 1
for update skip locked;

-- out_of_force(list_number) -> [_Standing]
-- Every certificate of a list that is not in force.
select status_index,
    case when standing = 'replaced' then standing_of_replaced(number) else standing end as standing
from certificate
where standing <> 'valid' and status_index is not null
    and status_index >= :list_number::bigint << 20
    and status_index < (:list_number::bigint + 1) << 20
union all
select status_index, 'cancelled' from certificate
where state = 'void' and status_index is not null
    and status_index >= :list_number::bigint << 20
    and status_index < (:list_number::bigint + 1) << 20
limit 1048576;

-- keep(list_number, signed, kid, issued_at, expires_at, places_sha256, token) -> none
-- The newest form of a list.
update status_list set signed = :signed, kid = :kid, issued_at = :issued_at,
    expires_at = :expires_at, places_sha256 = :places_sha256, token = :token
where list_number = :list_number;

-- behind() -> bool
-- Whether a list lacks a change.
select exists (select from status_list where signed < wanted);

-- status_list(list_number) -> bytes?
-- A list as it is published.
select token from status_list where list_number = :list_number::bigint and token is not null;

-- status_lists() -> [_Published]
-- Every list as it is published.
select list_number, token from status_list where token is not null
order by list_number limit 1000;
