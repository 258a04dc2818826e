-- write(city_code, actor, act, subject, detail) -> none
-- The trigger journal_chain fills in sequence, time and hashes.
insert into journal (city_code, actor, act, subject, detail)
values (:city_code, :actor, :act, :subject, :detail::jsonb);

-- broken() -> [Break]
-- The first break of each city: a gap, a wrong link, a changed entry, or an end that is not the head.
with entry as (
    select city_code, sequence, previous, hash,
        lag(hash, 1, '\x'::bytea) over chain as before,
        lag(sequence, 1, 0::bigint) over chain as sequence_before,
        sha256(previous || journal_bytes(journal)) as computed
    from journal
    window chain as (partition by city_code order by sequence)
), break as (
    select city_code, sequence,
        case when sequence <> sequence_before + 1 then 'removed'
            when previous <> before then 'unlinked' else 'changed' end as reason
    from entry
    where sequence <> sequence_before + 1 or previous <> before or hash <> computed
    union all
    select city_code, greatest(last.sequence, head.sequence),
        case when last.sequence = head.sequence then 'changed'
            when last.sequence > coalesce(head.sequence, 0) then 'added'
            else 'cut off' end
    from journal_head head full join (
        select distinct on (city_code) city_code, sequence, hash
        from journal order by city_code, sequence desc) last using (city_code)
    where (last.sequence, last.hash) is distinct from (head.sequence, head.hash)
)
select distinct on (city_code) city_code, sequence, reason from break order by city_code, sequence;

-- heads() -> [Head]
-- The newest entry of each city, to be noted outside the database.
select city_code, sequence, hash from journal_head order by city_code limit 1000;
