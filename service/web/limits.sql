-- count(rule, key, ends_at, cost) -> int
-- Add to the count of a key; a count of an earlier window begins anew.
insert into limit_count as held (rule, key, ends_at, count)
values (:rule, :key, to_timestamp(:ends_at::int8), :cost)
on conflict (rule, key) do update set
    ends_at = greatest(held.ends_at, excluded.ends_at),
    count = case
        when held.ends_at < excluded.ends_at then excluded.count
        else held.count + excluded.count
    end
returning count;

-- sweep() -> none
-- Remove what is past, at most so much that nobody waits for it.
delete from limit_count where ctid = any (array (
    select ctid from limit_count where ends_at < now() limit 10000));
