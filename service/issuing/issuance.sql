-- claim(worker, takeover_seconds, group_size) -> [Claimed]
-- The next certificates that nobody works on, or whose worker has not come back. Batches take turns:
-- a group begins with the batch after the one that began the group before, whoever claimed that, and
-- is filled up from the batches that follow. One whose workers have died three times is taken alone,
-- so that it can take no others with it.
with suspect as (
    select number, version from certificate
    where state = 'numbered' and claim_count >= 3 and void_asked_by is null
        and claimed_at < now() - make_interval(secs => :takeover_seconds)
    order by number, version
    limit 1
    for update skip locked
), ordinary as (
    select batch_id, number, version
    from claim_turn
    cross join lateral (values (last_value + 1, 9223372036854775807), (0, last_value))
        as part (first_id, last_id)
    cross join lateral (
        select batch_id, number, version from certificate
        where state = 'numbered' and claim_count < 3 and void_asked_by is null
            and (claimed_at is null
                or claimed_at < now() - make_interval(secs => :takeover_seconds))
            and batch_id between part.first_id and part.last_id
        order by batch_id, number, version
        limit :group_size
        for update skip locked
    ) waiting
    where not exists (select from suspect)
    limit :group_size
), begun as (
    select setval('claim_turn', batch_id) from ordinary limit 1
), next as (
    select number, version from suspect
    union all
    select number, version from ordinary where exists (select from begun)
)
update certificate set claimed_by = :worker, claimed_at = now(), claim_count = claim_count + 1,
    status_sequence = coalesce(status_sequence, nextval('status_sequence'))
from next
where certificate.number = next.number and certificate.version = next.version
returning certificate.number, certificate.version, city_code, public_id, identifier, edition, name,
    sex, born_on, id_kind, id_encrypted, project_name, score, exam_on, archived_on,
    issuing_authority, issuer_code, seal_name, replaces, examine_fully, claim_count,
    status_sequence, status_index,
    coalesce(sealed_at, date_trunc('second', now())) as sealed_at, seal_fingerprint, statement_kid,
    statement_host, photo_sha256;

-- promise(numbers, versions, status_indexes, sealed_ats, seal_fingerprints, statement_kids, statement_hosts) -> none
-- Written once; a promise made before stays as it is.
update certificate set status_index = made.status_index, sealed_at = made.sealed_at,
    seal_fingerprint = made.seal_fingerprint, statement_kid = made.statement_kid,
    statement_host = made.statement_host
from unnest(:numbers::text[], :versions::int[], :status_indexes::bigint[],
    :sealed_ats::timestamptz[], :seal_fingerprints::bytea[], :statement_kids::bytea[],
    :statement_hosts::text[])
    as made (number, version, status_index, sealed_at, seal_fingerprint, statement_kid,
        statement_host)
where certificate.number = made.number and certificate.version = made.version
    and certificate.sealed_at is null;

-- forgive(numbers) -> none
-- A claim that came to nothing through no fault of the certificate does not count.
update certificate set claim_count = claim_count - 1
where number = any (:numbers::text[]) and state = 'numbered';

-- issue(worker, act, numbers, versions, pdf_sha256s, range_sha256s) -> [str]
-- Only what is still wanted; each sealing is an entry of its city's journal, cities in one order.
with issued as (
    update certificate set state = 'issued', issued_at = now(),
        pdf_sha256 = sealed.pdf_sha256, range_sha256 = sealed.range_sha256
    from unnest(:numbers::text[], :versions::int[], :pdf_sha256s::bytea[], :range_sha256s::bytea[])
        as sealed (number, version, pdf_sha256, range_sha256)
    where certificate.number = sealed.number and certificate.version = sealed.version
        and state = 'numbered' and void_asked_by is null
    returning city_code, certificate.number, certificate.version, certificate.pdf_sha256,
        seal_fingerprint, sealed_at
), told as (
    insert into journal (city_code, actor, act, subject, detail)
    select city_code, :worker, :act, number, jsonb_build_object('version', version,
        'pdf_sha256', encode(pdf_sha256, 'hex'), 'sealed_at', sealed_at,
        'seal', encode(seal_fingerprint, 'hex'))
    from issued order by city_code, number, version
)
select number from issued;

-- park(number, version, cause) -> str?
-- Its number, unless somebody else has settled it meanwhile.
update certificate set state = 'parked', cause = :cause
where number = :number and version = :version and state = 'numbered'
returning number;

-- progress() -> Progress
-- Counts what is not finished, in indexes that hold nothing else.
select (select count(*) from certificate
        where state = 'numbered' and claim_count < 3 and void_asked_by is null)
    + (select count(*) from certificate
        where state = 'numbered' and claim_count >= 3 and void_asked_by is null) as numbered,
    (select count(*) from certificate where state = 'parked') as parked;
