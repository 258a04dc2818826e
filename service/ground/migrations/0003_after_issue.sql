-- After issue: certificates change their standing or get a corrected version, by two persons; and
-- certificates from before Qianfa stand beside ours, never sealed by us.
-- Run before the code that uses it.

set local lock_timeout = '10s';

do $$
begin
    create role qianfa_portal nologin;
exception when duplicate_object or unique_violation then
    null;  -- roles belong to the server; another database of it has made it already
end
$$;
grant qianfa_portal to current_user;

alter table certificate
    add column origin text not null default 'sealed' check (origin in ('sealed', 'adopted')),
    add column replaces text,
    alter column batch_id drop not null,
    alter column row_number drop not null,
    alter column scheme_version drop not null,
    alter column identifier drop not null,
    alter column edition drop not null,
    alter column sex drop not null,
    alter column born_on drop not null,
    alter column score drop not null,
    alter column exam_on drop not null,
    alter column issuer_code drop not null,
    alter column seal_name drop not null,
    alter column examine_fully drop not null,
    drop constraint certificate_number_check,
    add constraint certificate_number_check check (
        number ~ case origin when 'sealed' then '^\d{8,20}$' else '^[0-9A-Z]{6,32}$' end),
    drop constraint certificate_issued_whole,
    add constraint certificate_issued_whole check (state <> 'issued' or origin = 'adopted' or (
        sealed_at is not null and status_index is not null and seal_fingerprint is not null
        and statement_kid is not null and statement_host is not null and pdf_sha256 is not null
        and range_sha256 is not null and issued_at is not null)),
    add constraint certificate_sealed_whole check (origin = 'adopted' or (
        batch_id is not null and row_number is not null and scheme_version is not null
        and identifier is not null and edition is not null and sex is not null
        and born_on is not null and score is not null and exam_on is not null
        and issuer_code is not null and seal_name is not null and examine_fully is not null)),
    add constraint certificate_adopted_plain check (origin = 'sealed' or (
        state = 'issued' and version = 1 and issued_at is not null and sealed_at is null
        and status_index is null and range_sha256 is null and batch_id is null)),
    add constraint certificate_replaces check ((replaces is not null) = (version > 1));
comment on column certificate.origin is 'adopted: issued before Qianfa, known to us and not sealed by us.';
comment on column certificate.replaces is 'The identifier of the version before (GB/T 36904).';

create index certificate_standing on certificate (status_index)
    where standing <> 'valid' and status_index is not null;

grant select (origin) on certificate to qianfa_public;

create view entry with (security_invoker = true) as
    select number, version, public_id, name, project_name, exam_on, archived_on,
        issuing_authority, standing, case when standing = 'replaced' then (
            select max(newer.version) from certificate newer
            where newer.number = held.number and newer.version > held.version
                and newer.state = 'issued') end as successor,
        origin, status_index, statement_host, sealed_at, coalesce(specimen, false) as specimen,
        pdf_sha256, range_sha256
    from certificate held left join seal_certificate on fingerprint = seal_fingerprint
    where state = 'issued';
comment on view entry is 'An issued certificate, as far as the public may know it.';
grant select on entry to qianfa_public;
