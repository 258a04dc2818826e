-- write(city_code, actor, act, subject, detail) -> none
-- The trigger journal_chain fills in sequence, time and hashes.
insert into journal (city_code, actor, act, subject, detail)
values (:city_code, :actor, :act, :subject, :detail::jsonb);

-- broken() -> [Break]
-- The first break of each city: a gap, a wrong link, a changed entry, or a head that lies ahead.
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
    select head.city_code, head.sequence, 'cut off'
    from journal_head head
    where not exists (
        select 1 from journal last
        where last.city_code = head.city_code and last.sequence = head.sequence
            and last.hash = head.hash)
)
select distinct on (city_code) city_code, sequence, reason from break order by city_code, sequence;
